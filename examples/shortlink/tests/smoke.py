"""Asks a running shortlink over HTTP, as its users do."""

import json
import sys
import time
import urllib.error
import urllib.request

BASE = sys.argv[1]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def main():
    for attempt in range(50):
        try:
            urllib.request.urlopen(f"{BASE}/health", timeout=2).read()
            break
        except OSError:
            print(f"not there yet ({attempt + 1})", flush=True)
            time.sleep(0.1)
    made = urllib.request.urlopen(f"{BASE}/", json.dumps({"url": "https://example.com/"}).encode(), timeout=2)
    name = json.load(made)["name"]
    try:
        urllib.request.build_opener(NoRedirect).open(f"{BASE}/{name}", timeout=2)
    except urllib.error.HTTPError as answer:
        assert (answer.code, answer.headers["Location"]) == (302, "https://example.com/")
        print(f"{BASE}/{name} leads to {answer.headers['Location']}")


if __name__ == "__main__":
    main()
