// SPDX-License-Identifier: GPL-3.0-or-later

// More of other people's code over a log of Cairn, for make soak: it wants a newer Go than Debian 12 has. The words are as those of the
// program in the folder above.
//
//	monitors fsck LOG VKEY       Tessera's own check of a whole log: each tile made again from the entries
//	monitors entries LOG VKEY    Torchwood's client: each entry with its proof
//	monitors proof PROOF VKEY    a proof file, by transparency-dev's formats and merkle
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"filippo.io/torchwood"
	checkpoints "github.com/transparency-dev/formats/log"
	formats "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// readers is a web client that reads files too.
var readers = func() *http.Client {
	transport := &http.Transport{}
	transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	return &http.Client{Transport: transport}
}()

func leafHashes(bundle []byte) (hashes [][]byte, err error) {
	var entries api.EntryBundle
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

func check(log string, key note.Verifier) error {
	base, err := url.Parse(log)
	if err != nil {
		return err
	}
	fetcher, err := client.NewHTTPFetcher(base, readers)
	if err != nil {
		return err
	}
	return fsck.New(key.Name(), key, fetcher, leafHashes, fsck.Opts{N: 2}).Check(context.Background())
}

func readEntries(log string, key note.Verifier) error {
	fetcher, err := torchwood.NewTileFetcher(log, torchwood.WithHTTPClient(readers))
	if err != nil {
		return err
	}
	text, err := fetcher.ReadEndpoint(context.Background(), "checkpoint")
	if err != nil {
		return err
	}
	opened, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return err
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	reader, err := torchwood.NewClient(fetcher)
	if err != nil {
		return err
	}
	for index := int64(0); index < checkpoint.N; index++ {
		entry, path, err := reader.Entry(context.Background(), checkpoint.Tree, index)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(path, checkpoint.N, checkpoint.Hash, index, tlog.RecordHash(entry)); err != nil {
			return err
		}
	}
	fmt.Println("size", checkpoint.N)
	return nil
}

func checkProof(path string, key note.Verifier) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var parsed formats.TLogProof
	if err := parsed.Unmarshal(text); err != nil {
		return err
	}
	checkpoint, _, _, err := checkpoints.ParseCheckpoint(parsed.Checkpoint, key.Name(), key)
	if err != nil {
		return err
	}
	var extra struct{ Leaf string }
	if err := json.Unmarshal(parsed.ExtraData, &extra); err != nil {
		return err
	}
	hashes := make([][]byte, len(parsed.Hashes))
	for i := range hashes {
		hashes[i] = parsed.Hashes[i][:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf([]byte(extra.Leaf))
	return proof.VerifyInclusion(rfc6962.DefaultHasher, parsed.Index, checkpoint.Size, leaf, hashes, checkpoint.Hash)
}

func run(words []string) error {
	parts := map[string]func(string, note.Verifier) error{"fsck": check, "entries": readEntries, "proof": checkProof}
	if len(words) != 3 || parts[words[0]] == nil {
		return errors.New("monitors fsck LOG VKEY | entries LOG VKEY | proof PROOF VKEY")
	}
	line, err := os.ReadFile(words[2])
	if err != nil {
		return err
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(line)))
	if err != nil {
		return err
	}
	return parts[words[0]](words[1], key)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "monitors:", err)
		os.Exit(1)
	}
}
