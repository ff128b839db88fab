"""Watching a served model: is what it sees, and what it answers, still what it was trained on?"""
