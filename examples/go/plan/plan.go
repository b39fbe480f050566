// Package plan decides which migrations to apply, and in which order. It reads nothing.
package plan

import (
	"fmt"
	"regexp"
	"slices"
)

var name = regexp.MustCompile(`^([0-9]{4})_[a-z0-9_]+\.sql$`)

// Ordered returns the migrations among the names of files, by their numbers. A number that two of them have is an error.
func Ordered(names []string) ([]string, error) {
	byNumber := map[string]string{}
	var found []string
	for _, each := range names {
		match := name.FindStringSubmatch(each)
		if match == nil {
			continue
		}
		if other, taken := byNumber[match[1]]; taken {
			return nil, fmt.Errorf("%s and %s have the same number", other, each)
		}
		byNumber[match[1]] = each
		found = append(found, each)
	}
	slices.Sort(found)
	return found, nil
}

// Pending returns the files that are not applied yet.
func Pending(files, applied []string) []string {
	var pending []string
	for _, file := range files {
		if !slices.Contains(applied, file) {
			pending = append(pending, file)
		}
	}
	return pending
}
