"""A program that guesses passwords on many connections at once, until it is killed. Prints each status it gets."""

import asyncio
import random
import sys

BODY = b"name=n%08x&password=guess"
REQUEST = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY % 0), BODY)
)


async def guess(port: int) -> None:
    """One guess after the other, each for another name: too many for one name would be refused without a check."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST % random.getrandbits(32))
        head = await reader.read(12)
        if head:
            sys.stdout.write(head.split()[1].decode() + "\n")
            sys.stdout.flush()
        await reader.read()
        writer.close()


async def main(port: int, connections: int) -> None:
    """Guesses on all connections."""
    await asyncio.gather(*(guess(port) for _ in range(connections)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
