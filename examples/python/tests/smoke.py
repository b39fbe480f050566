"""Asks a running service over HTTP, as its users do: python3 smoke.py http://HOST:8000"""

import json
import sys
import urllib.request

BASE = sys.argv[1]


def main():
    made = urllib.request.urlopen(f"{BASE}/notes", json.dumps({"text": "from outside"}).encode(), timeout=10)
    number = json.load(made)["id"]
    newest = json.load(urllib.request.urlopen(f"{BASE}/notes", timeout=10))
    assert {"id": number, "text": "from outside"} in newest, newest
    print(f"note {number} is there")


if __name__ == "__main__":
    main()
