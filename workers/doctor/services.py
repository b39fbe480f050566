"""Checks of what is asked over the network: Redis, and this server at its own address."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from redis import RedisError

from runner.network.egress import server_egress
from workers.doctor.finding import Finding, ok, problem, warning
from workers.forges.http import make_client
from workers.settings import Settings
from workers.streaming.redis_stream import connect

_REDIS_S = 3.0
_HEALTH = "/healthz"
_HINT = "Look at HEADWAY_BASE_URL, whether the server runs, and at the proxy before it."


def redis(settings: Settings) -> list[Finding]:
    """Whether Redis answers, and whether it would drop the queue when its memory is full."""
    private = "redis_url" not in settings.model_fields_set and _private_redis(settings.redis_dir / "redis.conf")
    try:
        with connect(private or settings.redis_url, _REDIS_S) as client:
            client.ping()
            memory = client.info("memory")
    except (RedisError, ValueError) as error:
        first = str(error).partition("\n")[0].rstrip(".")
        whose = "the private one of headway serve" if private else "HEADWAY_REDIS_URL"
        return [problem("redis", f"does not answer: {first}. It is {whose}; runs start late, and no log is live.")]
    if memory.get("maxmemory") and memory.get("maxmemory_policy") != "noeviction":
        sentence = "it drops keys when its memory is full. Set maxmemory-policy noeviction in its configuration."
        return [warning("redis", sentence)]
    return [ok("redis", "the private one of headway serve answers" if private else "answers")]


def _private_redis(config: Path) -> str:
    """The address of the Redis of ``headway serve``, from the file that it wrote at its start; empty without one."""
    try:
        words = dict(re.findall(r"^(port|requirepass) (\S+)$", config.read_text(), re.MULTILINE))
    except OSError:
        return ""
    return f"redis://:{words['requirepass']}@127.0.0.1:{words['port']}/0" if len(words) > 1 else ""


def base_url(settings: Settings) -> list[Finding]:
    """Whether this server answers at the address that browsers and forges are given, and whether that is a good one."""
    parts = urlsplit(settings.url)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    try:
        with make_client(server_egress(os.environ, settings.ca_file, step_proxy=False)) as client:
            answer = client.get(f"{settings.url}{_HEALTH}")
            answers = answer.status_code == httpx2.codes.OK and answer.json().get("status") == "ok"
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, AttributeError) as error:
        first = str(error).partition("\n")[0]
        return [problem("url", f"{where} does not answer from here: {first}. {_HINT}")]
    if not answers:
        return [problem("url", f"something else than Headway answers at {where} ({answer.status_code}). {_HINT}")]
    if not settings.base_url:
        sentence = f"{where} answers, but no other machine can use it. Set HEADWAY_BASE_URL for forges and links."
        return [warning("url", sentence)]
    return [scheme(where, parts.hostname or "")]


def scheme(where: str, host: str) -> Finding:
    """What to say of an address that answers: without TLS only this machine should be asked."""
    if where.startswith("https:") or _is_here(host):
        return ok("url", f"{where} answers")
    return warning("url", f"{where} answers without TLS: passwords can be read on the way. Put a proxy before it.")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
