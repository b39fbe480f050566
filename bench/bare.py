"""The least that takes a delivery: ``python -m bench.bare PORT``. Uvicorn is configured as Headway configures it."""

import sys

import uvicorn
from fastapi import FastAPI, Request


def make_app() -> FastAPI:
    """One route, which reads its body."""
    app = FastAPI()

    @app.post("/", status_code=202)
    async def receive(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(), port=int(sys.argv[1]), log_level="warning", access_log=False, server_header=False)
