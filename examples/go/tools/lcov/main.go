// Lcov writes the coverage profile of `go test` as LCOV, with paths from the root of the module.
package main

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

const module = "example.com/migrate/"

func main() {
	hits := map[string]map[int]int{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		// example.com/migrate/plan/plan.go:13.52,15.2 2 1
		file, block, found := strings.Cut(strings.TrimPrefix(lines.Text(), module), ":")
		var first, last, count, ignored int
		if n, _ := fmt.Sscanf(block, "%d.%d,%d.%d %d %d", &first, &ignored, &last, &ignored, &ignored, &count); !found || n != 6 {
			continue
		}
		if hits[file] == nil {
			hits[file] = map[int]int{}
		}
		for line := first; line <= last; line++ {
			hits[file][line] = max(hits[file][line], count)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(hits)) {
		fmt.Println("SF:" + file)
		for _, line := range slices.Sorted(maps.Keys(hits[file])) {
			fmt.Printf("DA:%d,%d\n", line, hits[file][line])
		}
		fmt.Println("end_of_record")
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "lcov:", err)
		os.Exit(1)
	}
}
