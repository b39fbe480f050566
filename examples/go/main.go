// Migrate applies the SQL files of a folder to a PostgreSQL database, each once, in the order of their numbers.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"example.com/migrate/plan"
	"example.com/migrate/psql"
)

func main() {
	folder := flag.String("folder", "migrations", "the folder with files such as 0001_notes.sql")
	wait := flag.Duration("wait", 30*time.Second, "how long to wait until the database answers")
	flag.Parse()
	if err := run(*folder, os.Getenv("DATABASE_URL"), *wait); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

func run(folder, url string, wait time.Duration) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	files, err := plan.Ordered(names)
	if err != nil {
		return err
	}
	database, err := psql.Open(url, wait)
	if err != nil {
		return err
	}
	applied, err := database.Applied()
	if err != nil {
		return err
	}
	pending := plan.Pending(files, applied)
	for _, file := range pending {
		fmt.Println("applying", file)
		if err := database.Apply(folder, file); err != nil {
			return err
		}
	}
	fmt.Printf("%d applied, %d were applied before\n", len(pending), len(files)-len(pending))
	return nil
}
