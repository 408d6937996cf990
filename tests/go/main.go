// SPDX-License-Identifier: GPL-3.0-or-later

// Checks a log of Cairn with the packages that Go checks its own module database with (golang.org/x/mod/sumdb): another
// implementation of notes, trees and proofs, by other people. The paths of tiles and the file of a proof are read here, from the
// specifications (C2SP tlog-tiles and tlog-proof). LOG is an http:// or file:// URL of what is under /log/; VKEY, NOTE and PROOF are
// files. Exit status 0 when everything holds.
//
//	outside log LOG [VKEY]           checkpoint, and each entry with an inclusion proof made from the tiles
//	outside grown LOG NOTE [VKEY]    the log extends the one of an earlier checkpoint
//	outside proof PROOF VKEY
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height, width = 8, 256 // of tiles

// ---- reading

// readers is a web client that can read files too, so that a copy of a log that was tampered with needs no server.
var readers = func() *http.Client {
	transport := &http.Transport{}
	transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	return &http.Client{Transport: transport}
}()

func get(url string) ([]byte, error) {
	answer, err := readers.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", url, answer.StatusCode)
	}
	return io.ReadAll(answer.Body)
}

// tilePath is the path of a tile of that kind (a level, or "entries"); the last one of a level is usually narrower than the others.
func tilePath(kind string, number int64, wide int) string {
	path := fmt.Sprintf("%03d", number%1000)
	for number /= 1000; number > 0; number /= 1000 {
		path = fmt.Sprintf("x%03d/%s", number%1000, path)
	}
	if wide < width {
		path += fmt.Sprintf(".p/%d", wide)
	}
	return "tile/" + kind + "/" + path
}

// tiles fetches what tlog asks for, each once: by path below the log's URL.
type tiles struct {
	log   string
	known map[string][]byte
}

func tilesOf(log string) tiles { return tiles{log, map[string][]byte{}} }

func (t tiles) Height() int                     { return height }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		path := tilePath(strconv.Itoa(tile.L), tile.N, tile.W)
		if t.known[path] == nil {
			data, err := get(t.log + path)
			if err != nil {
				return nil, err
			}
			t.known[path] = data
		}
		found[i] = t.known[path]
	}
	return found, nil
}

// entriesOf calls visit with each entry of a log of that size.
func entriesOf(log string, size int64, visit func(index int64, entry []byte) error) error {
	for number := int64(0); number*width < size; number++ {
		wide := size - number*width
		if wide > width {
			wide = width
		}
		data, err := get(log + tilePath("entries", number, int(wide)))
		if err != nil {
			return err
		}
		for i := int64(0); i < wide; i++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("bundle %d ends within entry %d", number, i)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if err := visit(number*width+i, data[2:end]); err != nil {
				return err
			}
			data = data[end:]
		}
		if len(data) > 0 {
			return fmt.Errorf("bundle %d has %d bytes too many", number, len(data))
		}
	}
	return nil
}

// ---- checkpoints

// openNote checks the signature by the key of that line, and reads what was signed.
func openNote(text, vkey []byte) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("not a size: %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// newest is the tree of the checkpoint that the log shows now; vkey names a file, or nothing: the key that the log tells itself.
func newest(log, vkey string) (tree tlog.Tree, key []byte, err error) {
	if vkey == "" {
		key, err = get(log + "vkey")
	} else {
		key, err = os.ReadFile(vkey)
	}
	if err != nil {
		return
	}
	text, err := get(log + "checkpoint")
	if err != nil {
		return
	}
	tree, err = openNote(text, key)
	return
}

// ---- what is checked

func checkLog(log, vkey string) error {
	tree, _, err := newest(log, vkey)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, tilesOf(log))
	err = entriesOf(log, tree.N, func(index int64, entry []byte) error {
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		return nil
	})
	if err == nil {
		fmt.Println("size", tree.N)
	}
	return err
}

func checkGrown(log, earlier, vkey string) error {
	tree, key, err := newest(log, vkey)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(earlier)
	if err != nil {
		return err
	}
	before, err := openNote(text, key)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, before.N, tlog.TileHashReader(tree, tilesOf(log)))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash); err != nil {
		return err
	}
	fmt.Println("from", before.N, "to", tree.N)
	return nil
}

func checkProof(path, vkey string) error {
	key, err := os.ReadFile(vkey)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, signed, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") ||
		!strings.HasPrefix(lines[2], "index ") {
		return errors.New("not a proof file")
	}
	extra, err := base64.StdEncoding.Strict().DecodeString(lines[1][len("extra "):])
	if err != nil {
		return err
	}
	var carried struct{ Leaf string }
	if err := json.Unmarshal(extra, &carried); err != nil {
		return err
	}
	index, err := strconv.ParseInt(lines[2][len("index "):], 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openNote(signed, key)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash([]byte(carried.Leaf))); err != nil {
		return err
	}
	fmt.Println(carried.Leaf)
	return nil
}

func run(words []string) error {
	last := func(at int) string {
		if len(words) > at {
			return words[at]
		}
		return ""
	}
	switch {
	case last(0) == "log" && (len(words) == 2 || len(words) == 3):
		return checkLog(words[1], last(2))
	case last(0) == "grown" && (len(words) == 3 || len(words) == 4):
		return checkGrown(words[1], words[2], last(3))
	case last(0) == "proof" && len(words) == 3:
		return checkProof(words[1], words[2])
	}
	return errors.New("outside log LOG [VKEY] | grown LOG NOTE [VKEY] | proof PROOF VKEY")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "outside:", err)
		os.Exit(1)
	}
}
