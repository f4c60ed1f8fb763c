// A stand-in for Sedna that is never the bottleneck of a benchmark: it answers every operation that
// the service uses with the least valid answer, and writes only after -latency. It keeps nothing but
// counters, checks no credentials, and is no model of Sedna's behaviour.
//
//	go run ./benchmarks/go_stub/main.go [-address 127.0.0.1:0] [-latency 100ms]
//
// The port is the first line on standard output; GET /stats tells what arrived.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	operatorID = 571
	hotels     = 50
	maxBody    = 1 << 20
)

var boards = []struct {
	ID   int
	Code string
}{{1, "AI"}, {37, "UAI"}, {3, "HB"}, {4, "BB"}, {5, "RO"}}

var rooms = []string{"STD", "STDSV", "STDLV", "DLX", "FAM", "SUI"}

var (
	requests  atomic.Int64
	logins    atomic.Int64
	inserts   atomic.Int64
	stopSales atomic.Int64
	inFlight  atomic.Int64
	mostOpen  atomic.Int64
	lastRecID atomic.Int64
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	latency := flag.Duration("latency", 100*time.Millisecond, "delay of every write")
	flag.Parse()

	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: handler(*latency), ReadHeaderTimeout: time.Minute}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-stop
		_ = server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

// Paths are matched by their last element, in lower case: IIS ignores case, and the base path differs
// from customer to customer.
func handler(latency time.Duration) http.Handler {
	hotelList := encode(hotelRows())
	boardList := encode(boardRows())
	countries := encode([]map[string]any{
		{"RecId": 1, "Name": "TURKEY"}, {"RecId": 2, "Name": "GERMANY"}, {"RecId": 3, "Name": "UNITED KINGDOM"},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := strings.ToLower(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		if operation == "stats" {
			reply(w, encode(stats()))
			return
		}
		requests.Add(1)
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return
		}
		switch operation {
		case "agencylogin":
			logins.Add(1)
			http.SetCookie(w, &http.Cookie{Name: "ASP.NET_SessionId", Value: "stub", Path: "/", HttpOnly: true})
			reply(w, encode(map[string]any{"ErrorType": 0, "Message": nil, "RecId": operatorID}))
		case "gethotels", "gethotellist":
			reply(w, hotelList)
		case "gethotelroomtypelistall", "getroomtypelist":
			reply(w, encode(roomRows(body)))
		case "getboardlist":
			reply(w, boardList)
		case "getcountrys":
			reply(w, countries)
		case "getreservations", "getreservationbyvoucher", "getstopsalelist":
			reply(w, []byte("[]"))
		case "insertreservation":
			write(w, latency, &inserts, 0)
		case "updatestopsale":
			var record struct{ RecId int64 }
			_ = json.Unmarshal(body, &record)
			write(w, latency, &stopSales, record.RecId)
		default:
			http.NotFound(w, r)
		}
	})
}

// recID 0 asks for a new record, any other names the one that is written again.
func write(w http.ResponseWriter, latency time.Duration, counter *atomic.Int64, recID int64) {
	now := inFlight.Add(1)
	defer inFlight.Add(-1)
	for most := mostOpen.Load(); now > most && !mostOpen.CompareAndSwap(most, now); most = mostOpen.Load() {
	}
	time.Sleep(latency)
	counter.Add(1)
	if recID == 0 {
		recID = lastRecID.Add(1)
	}
	reply(w, []byte(`{"ErrorType":0,"Message":null,"RecId":`+strconv.FormatInt(recID, 10)+`}`))
}

func stats() map[string]int64 {
	return map[string]int64{
		"requests":       requests.Load(),
		"logins":         logins.Load(),
		"inserts":        inserts.Load(),
		"stop_sales":     stopSales.Load(),
		"most_in_flight": mostOpen.Load(),
	}
}

func hotelRows() []map[string]any {
	rows := []map[string]any{{"RecId": 18, "Name": "Mandarin Resort & Spa"}}
	for number := 1; number < hotels; number++ {
		rows = append(rows, map[string]any{"RecId": 1000 + number, "Name": fmt.Sprintf("Benchmark Hotel %02d", number)})
	}
	return rows
}

func boardRows() []map[string]any {
	rows := make([]map[string]any, 0, len(boards))
	for _, board := range boards {
		rows = append(rows, map[string]any{"RecId": board.ID, "Code": board.Code, "Name": board.Code})
	}
	return rows
}

// The body is the list of hotel ids; ids of room types differ from hotel to hotel, as Sedna's do.
func roomRows(body []byte) []map[string]any {
	var asked []int64
	if len(bytes.TrimSpace(body)) > 0 {
		_ = json.Unmarshal(body, &asked)
	}
	if len(asked) == 0 {
		asked = []int64{18}
	}
	rows := make([]map[string]any, 0, len(asked)*len(rooms))
	for _, hotel := range asked {
		for number, code := range rooms {
			rows = append(rows, map[string]any{
				"RecId": hotel*100 + int64(number), "HotelId": hotel, "Code": code, "Name": code,
			})
		}
	}
	return rows
}

func encode(value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	return encoded
}

func reply(w http.ResponseWriter, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
