// Command echo is the smallest server that a cluster test can put into a pod.
//
//	GET  /               the pod's name
//	GET  /burn?ms=200    the same, after burning that much of a core
//	GET  /ask?url=…      what that address answers when it is asked from here
//	POST /…:predict      the request's own body
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	address := ":8080"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	http.HandleFunc("/", answer)
	http.HandleFunc("/burn", burn)
	http.HandleFunc("/ask", ask)
	log.Fatal(http.ListenAndServe(address, nil))
}

func answer(response http.ResponseWriter, request *http.Request) {
	if strings.HasSuffix(request.URL.Path, ":predict") {
		response.Header().Set("Content-Type", "application/json")
		if _, err := io.Copy(response, request.Body); err != nil {
			log.Print(err)
		}
		return
	}
	name, err := os.Hostname()
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(response, name+"\n")
}

func burn(response http.ResponseWriter, request *http.Request) {
	milliseconds, err := strconv.Atoi(request.URL.Query().Get("ms"))
	if err != nil {
		http.Error(response, "say how long: /burn?ms=200", http.StatusBadRequest)
		return
	}
	for end := time.Now().Add(time.Duration(milliseconds) * time.Millisecond); time.Now().Before(end); {
	}
	answer(response, request)
}

func ask(response http.ResponseWriter, request *http.Request) {
	client := http.Client{Timeout: 5 * time.Second}
	answered, err := client.Get(request.URL.Query().Get("url"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadGateway)
		return
	}
	defer answered.Body.Close()
	response.WriteHeader(answered.StatusCode)
	if _, err := io.Copy(response, answered.Body); err != nil {
		log.Print(err)
	}
}
