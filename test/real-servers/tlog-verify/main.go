// tlog-verify FOLDER VKEY: whether the folder holds a whole C2SP tlog-tiles log that this key signed. It has nothing of
// Hallpass's own code: the checkpoint is opened, the tiles are authenticated against its root and every entry against the
// tiles by golang.org/x/mod. Exit 0 and `ok SIZE`, or 1 and why not.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// folder reads tiles as C2SP names them: the height is not part of the path, as it is always 8.
type folder string

func (f folder) Height() int                     { return height }
func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}
func (f folder) read(t tlog.Tile) ([]byte, error) {
	name := strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
	return os.ReadFile(filepath.Join(string(f), strings.Replace(name, "tile/data/", "tile/entries/", 1)))
}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for at, tile := range tiles {
		data, err := f.read(tile)
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", tile.Path(), len(data))
		}
		read[at] = data
	}
	return read, nil
}

func verify(path, key string) (int64, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, err
	}
	raw, err := os.ReadFile(filepath.Join(path, "checkpoint"))
	if err != nil {
		return 0, err
	}
	signed, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return 0, err
	}
	origin, rest, _ := strings.Cut(signed.Text, "\n")
	if origin != verifier.Name() {
		return 0, fmt.Errorf("a checkpoint of %q under the key of %q", origin, verifier.Name())
	}
	// The rest is a tree head as the checksum database writes it, under a first line of its own.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest))
	if err != nil {
		return 0, err
	}
	hashes := tlog.TileHashReader(tree, folder(path))
	for first := int64(0); first < tree.N; first += 1 << height {
		if err := verifyBundle(folder(path), hashes, first, min(1<<height, tree.N-first)); err != nil {
			return 0, err
		}
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err == nil && root != tree.Hash {
		err = errors.New("the tiles do not make the root")
	}
	return tree.N, err
}

// verifyBundle compares the entries [first, first+count) with the leaves that the root vouches for.
func verifyBundle(f folder, hashes tlog.HashReader, first, count int64) error {
	tile := tlog.Tile{H: height, L: -1, N: first >> height, W: int(count)}
	data, err := f.read(tile)
	if err != nil {
		return err
	}
	indexes := make([]int64, count)
	for at := range indexes {
		indexes[at] = tlog.StoredHashIndex(0, first+int64(at))
	}
	leaves, err := hashes.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for at, leaf := range leaves {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return fmt.Errorf("%s is cut short", tile.Path())
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if tlog.RecordHash(data[2:end]) != leaf {
			return fmt.Errorf("entry %d is not the one in the tree", first+int64(at))
		}
		data = data[end:]
	}
	if len(data) > 0 {
		return fmt.Errorf("%s holds more than its entries", tile.Path())
	}
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: tlog-verify FOLDER VKEY")
		os.Exit(2)
	}
	size, err := verify(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlog-verify:", err)
		os.Exit(1)
	}
	fmt.Println("ok", size)
}
