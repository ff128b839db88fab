"""What Redis does in one step: write rows that are still what they were when they were read, and hold a partition.

A script of Redis runs alone, and its effects go into the append-only file together. So rows, what is remembered about
them and the position up to which a stream was applied are there together or not at all.
"""

from __future__ import annotations

_ROWS = """
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function stands(key)
  -- A row: how it is guarded, its guard, what the guard has to be, and how many words follow.
  local how, guard, wanted = take(), take(), take()
  if how == '=' then return (redis.call('HGET', key, guard) or '') == wanted end
  if how == '>' then return tonumber(redis.call('HGET', key, guard) or '-1') < tonumber(wanted) end
  return true
end
local function words()
  local list = {}
  for i = 1, tonumber(take()) do list[i] = take() end
  return list
end
"""

WRITE = (
    _ROWS
    + """
local left = {}
for i = 1, #KEYS do
  local right, list = stands(KEYS[i]), words()
  if right then redis.call('HSET', KEYS[i], unpack(list)) else left[#left + 1] = i - 1 end
end
return left
"""
)
"""KEYS: a hash a row. Writes each row that may be written; returns the places of the others."""

COMMIT = (
    _ROWS
    + """
local token, position, next_position, count, lease = take(), take(), take(), take(), take()
local held = redis.call('HMGET', KEYS[1], 'token', 'position', 'events', 'labels')
if held[1] ~= token then return 'fenced' end
if (held[2] or '') ~= position then return 'moved' end
local newest = {events = take(), labels = take()}
local rows, kept = tonumber(take()), tonumber(take())
local lists = {}
for i = 1, rows do
  if not stands(KEYS[1 + i]) then return 'changed' end
  lists[i] = words()
end
for i = 1, rows do redis.call('HSET', KEYS[1 + i], unpack(lists[i])) end
for i = 1, kept do redis.call('SET', KEYS[1 + rows + i], take(), 'PX', take()) end
for i = 1, tonumber(take()) do
  redis.call('XADD', KEYS[#KEYS], 'MAXLEN', '~', take(), '*', 'reason', take(), 'record', take())
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'position', next_position, 'count', count,
  'until', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(lease))
for i, stream in ipairs({'events', 'labels'}) do
  if newest[stream] ~= '' and tonumber(newest[stream]) > tonumber(held[2 + i] or '-1') then
    redis.call('HSET', KEYS[1], stream, newest[stream])
  end
end
return 'done'
"""
)
"""KEYS: the partition's fence, a hash a row, a string a remembered thing, the stream of refused records. All or
nothing: `fenced` (another updater has taken over), `moved` (the position is another), `changed` (a row is another)
or `done`."""

CLAIM = """
local held = redis.call('HMGET', KEYS[1], 'holder', 'until', 'token', 'position', 'count', 'partitions')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if held[6] and held[6] ~= ARGV[3] then return {'partitions', held[6]} end
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > now and ARGV[4] ~= '1' then return {'held', held[1]} end
local token = redis.call('HINCRBY', KEYS[1], 'token', 1)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', now + tonumber(ARGV[2]), 'partitions', ARGV[3])
return {'claimed', tostring(token), held[4] or '', held[5] or '0'}
"""
"""KEYS: the partition's fence. ARGV: who asks, for how many milliseconds, how many partitions there are, and 1 to
take it from whoever holds it."""

STAY = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]))
return 1
"""
"""KEYS: the partition's fence. ARGV: the token and for how many milliseconds more; 0 lets it go. 0: it was taken."""
