"""A program that guesses passwords on many connections at once, until it is killed. Prints each status it gets."""

import asyncio
import sys

BODY = b"name=nobody&password=guess"
REQUEST = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


async def guess(port: int) -> None:
    """One guess after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        sys.stdout.write(head.split()[1].decode() + "\n")
        sys.stdout.flush()


async def main(port: int, connections: int) -> None:
    """Guesses on all connections."""
    await asyncio.gather(*(guess(port) for _ in range(connections)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
