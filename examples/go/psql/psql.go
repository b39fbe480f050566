// Package psql runs SQL with the program psql, as the image of PostgreSQL has it.
package psql

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	pause = 200 * time.Millisecond
	table = "CREATE TABLE IF NOT EXISTS migrations (file text PRIMARY KEY, applied timestamptz DEFAULT now())"
)

// Database is one that answers.
type Database struct{ url string }

// Open waits until the database answers, and makes the table of what was applied.
func Open(url string, wait time.Duration) (*Database, error) {
	if url == "" {
		return nil, errors.New("DATABASE_URL is empty: give the address of the database")
	}
	database := &Database{url}
	for deadline := time.Now().Add(wait); ; time.Sleep(pause) {
		_, err := database.run("--command", table)
		if err == nil || time.Now().After(deadline) {
			return database, err
		}
	}
}

// Applied returns the names of the files that were applied.
func (database *Database) Applied() ([]string, error) {
	output, err := database.run("--command", "SELECT file FROM migrations ORDER BY file")
	return strings.Fields(output), err
}

// Apply runs a file and records it, both in one transaction. The file's name has no quote in it: package plan sees to that.
func (database *Database) Apply(folder, file string) error {
	record := fmt.Sprintf("INSERT INTO migrations (file) VALUES ('%s')", file)
	_, err := database.run("--single-transaction", "--file", filepath.Join(folder, file), "--command", record)
	return err
}

func (database *Database) run(arguments ...string) (string, error) {
	fixed := []string{"--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--dbname", database.url}
	output, err := exec.Command("psql", append(fixed, arguments...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}
