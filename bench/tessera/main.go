// SPDX-License-Identifier: GPL-3.0-or-later

// The peer of bench/record.c's appends: Tessera's POSIX driver in one program with its load, as its documentation has it used, without
// its deduplication, whose work Cairn does not do either.
//
//	tessera FOLDER WRITERS BATCH SECONDS ENTRY WAIT [SIZE AGE INTERVAL]
//
// Each writer adds BATCH entries of ENTRY bytes and then waits until all are "integrated" (durable, in the tree) or "published" (in a
// signed checkpoint too), over and over. SIZE and AGE (ms) of Tessera's batches and the INTERVAL (ms) of its checkpoints are its own
// defaults unless given. Prints "name value" a line: rate in entries per second, p50 and p99 of a writer's turn in ms.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tessera:", err)
		os.Exit(1)
	}
	return value
}

func number(text string) int { return must(strconv.Atoi(text)) }

func ms(text string) time.Duration { return time.Duration(number(text)) * time.Millisecond }

type load struct {
	appender  *tessera.Appender
	published *tessera.PublicationAwaiter // nil: integrated is enough
	batch     int
	entry     int
	end       time.Time
}

// add adds one entry, again when Tessera has too many on their way, and returns when it is where it is waited for.
func (l *load) add(ctx context.Context, data []byte, future tessera.IndexFuture) {
	for {
		var err error
		if l.published != nil {
			_, _, err = l.published.Await(ctx, future)
		} else {
			_, err = future()
		}
		if !errors.Is(err, tessera.ErrPushback) {
			must(0, err)
			return
		}
		time.Sleep(time.Millisecond)
		future = l.appender.Add(ctx, tessera.NewEntry(data))
	}
}

// write gives the times of the turns.
func (l *load) write(ctx context.Context, writer int) (turns []time.Duration) {
	futures := make([]tessera.IndexFuture, l.batch)
	entries := make([][]byte, l.batch)
	for count := uint64(0); time.Now().Before(l.end); {
		start := time.Now()
		for i := range futures {
			entries[i] = make([]byte, l.entry)
			binary.BigEndian.PutUint64(entries[i], uint64(writer))
			binary.BigEndian.PutUint64(entries[i][8:], count)
			count++
			futures[i] = l.appender.Add(ctx, tessera.NewEntry(entries[i]))
		}
		for i, future := range futures {
			l.add(ctx, entries[i], future)
		}
		turns = append(turns, time.Since(start))
	}
	return turns
}

func options(words []string) *tessera.AppendOptions {
	key, _, err := note.GenerateKey(rand.Reader, "bench.example.org/log")
	must(0, err)
	set := tessera.NewAppendOptions().WithCheckpointSigner(must(note.NewSigner(key)))
	if len(words) == 3 {
		set = set.WithBatching(uint(number(words[0])), ms(words[1])).WithCheckpointInterval(ms(words[2]))
	}
	return set
}

func main() {
	words := os.Args[1:]
	if len(words) != 6 && len(words) != 9 {
		must(0, errors.New("tessera FOLDER WRITERS BATCH SECONDS ENTRY integrated|published [SIZE AGE INTERVAL]"))
	}
	ctx := context.Background()
	driver := must(posix.New(ctx, posix.Config{Path: words[0]}))
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options(words[6:]))
	must(0, err)
	writers := number(words[1])
	start := time.Now()
	l := load{appender: appender, batch: number(words[2]), entry: number(words[4]),
		end: start.Add(time.Duration(number(words[3])) * time.Second)}
	if words[5] == "published" {
		l.published = tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 5*time.Millisecond)
	}
	all := make([][]time.Duration, writers)
	var running sync.WaitGroup
	for writer := range all {
		running.Add(1)
		go func() {
			defer running.Done()
			all[writer] = l.write(ctx, writer)
		}()
	}
	running.Wait()
	took := time.Since(start)
	var turns []time.Duration
	for _, some := range all {
		turns = append(turns, some...)
	}
	sort.Slice(turns, func(i, j int) bool { return turns[i] < turns[j] })
	at := func(percent int) float64 { return float64(turns[len(turns)*percent/100].Microseconds()) / 1000 }
	fmt.Printf("rate %.0f\np50 %.3f\np99 %.3f\n", float64(len(turns)*l.batch)/took.Seconds(), at(50), at(99))
	must(0, shutdown(ctx))
}
