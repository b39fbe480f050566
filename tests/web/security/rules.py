"""The one table of who may call which route. A route that is not in it fails a test."""

from enum import Enum


class Needs(Enum):
    """What a call needs."""

    NOTHING = "no login"
    SIGNATURE = "a signature"
    LOGIN = "a login"
    BROWSER = "a browser session"
    FULL = "a browser session, or a token of the scope admin"
    READ = "the role read on the repository"
    WRITE = "the role write on the repository"
    ADMIN = "the role admin on the repository"
    SERVER = "an administrator, with a browser session or a token of the scope admin"


_TABLE = {
    Needs.NOTHING: "GET /healthz, GET /readyz, GET /login, POST /login, GET /schema.json, GET /static",
    Needs.SIGNATURE: "POST /hooks/{name:path}, GET /artifact-views/{link}/{path:path}, GET /badges/{link}",
    Needs.LOGIN: """
        GET /, GET /workers, GET /account, POST /logout,
        GET /api/account, GET /api/account/tokens, GET /api/account/sessions,
        GET /api/openapi.json, GET /api/workers, GET /api/stream, GET /api/events, GET /api/runs, GET /api/repos
    """,
    Needs.BROWSER: "POST /account/password, POST /account/tokens",
    Needs.FULL: """
        POST /account/tokens/{token_id}/delete, POST /account/sessions/delete,
        POST /account/sessions/{session_id}/delete,
        DELETE /api/account/tokens/{token_id}, DELETE /api/account/sessions/{session_id}
    """,
    Needs.READ: """
        GET /repos/{name:path}, GET /repos/{name:path}/branches, GET /repos/{name:path}/insights,
        GET /api/repos/{name:path}/insights, GET /repos/{name:path}/runs/{number},
        GET /api/repos/{name:path}, GET /api/repos/{name:path}/crons, GET /api/repos/{name:path}/inputs,
        GET /api/repos/{name:path}/runs, GET /api/repos/{name:path}/runs/{number},
        GET /api/repos/{name:path}/runs/{number}/problems, GET /api/repos/{name:path}/runs/{number}/trigger,
        GET /api/repos/{name:path}/runs/{number}/artifacts,
        GET /api/repos/{name:path}/runs/{number}/artifacts.zip,
        GET /api/repos/{name:path}/runs/{number}/artifacts.tar.zst,
        GET /repos/{name:path}/runs/{number}/artifacts, GET /repos/{name:path}/runs/{number}/artifacts/{artifact_id},
        GET /api/artifacts/{artifact_id},
        GET /api/repos/{name:path}/runs/{number}/reports, GET /api/repos/{name:path}/runs/{number}/tests,
        GET /api/repos/{name:path}/tests/history, GET /repos/{name:path}/runs/{number}/tests,
        GET /repos/{name:path}/tests/history, GET /repos/{name:path}/runs/{number}/coverage,
        GET /api/repos/{name:path}/runs/{number}/coverage,
        GET /api/steps/{step_id}/log, GET /api/steps/{step_id}/log/sources, GET /api/steps/{step_id}/log/search,
        GET /api/steps/{step_id}/log/groups, GET /api/steps/{step_id}/log/lines,
        GET /api/steps/{step_id}/stream, GET /api/runs/{run_id}/stream
    """,
    Needs.WRITE: """
        GET /repos/{name:path}/runs/{number}/shell/{step_id},
        POST /repos/{name:path}/runs, POST /repos/{name:path}/runs/{number}/cancel,
        POST /repos/{name:path}/runs/{number}/approve, POST /api/repos/{name:path}/runs/{number}/approve,
        POST /repos/{name:path}/runs/{number}/rerun, POST /repos/{name:path}/crons/run,
        POST /api/repos/{name:path}/runs, POST /api/repos/{name:path}/runs/sent,
        POST /api/repos/{name:path}/runs/{number}/cancel,
        POST /api/repos/{name:path}/runs/{number}/rerun, POST /api/repos/{name:path}/crons/{cron_name}/run
    """,
    Needs.ADMIN: """
        GET /repos/{name:path}/settings, POST /repos/{name:path}/settings/secrets,
        POST /repos/{name:path}/settings/secrets/delete, POST /repos/{name:path}/settings/newest-wins,
        POST /repos/{name:path}/settings/roles, POST /repos/{name:path}/settings/roles/delete,
        POST /repos/{name:path}/settings/untrusted,
        POST /repos/{name:path}/settings/retention,
        GET /api/repos/{name:path}/settings/retention, PUT /api/repos/{name:path}/settings/retention,
        POST /repos/{name:path}/settings/visibility, POST /repos/{name:path}/crons,
        POST /repos/{name:path}/crons/switch, POST /repos/{name:path}/crons/delete,
        GET /repos/{name:path}/deliveries, GET /repos/{name:path}/deliveries/{delivery_id},
        POST /repos/{name:path}/deliveries/{delivery_id}/replay,
        GET /api/repos/{name:path}/deliveries, GET /api/repos/{name:path}/deliveries/{delivery_id},
        POST /api/repos/{name:path}/deliveries/{delivery_id}/replay,
        PUT /api/repos/{name:path}/crons/{cron_name}, DELETE /api/repos/{name:path}/crons/{cron_name},
        GET /api/repos/{name:path}/secrets, PUT /api/repos/{name:path}/secrets/{secret_name},
        DELETE /api/repos/{name:path}/secrets/{secret_name},
        GET /api/repos/{name:path}/settings,
        GET /api/repos/{name:path}/settings/forge-tokens, PUT /api/repos/{name:path}/settings/forge-tokens,
        DELETE /api/repos/{name:path}/settings/forge-tokens,
        GET /api/repos/{name:path}/settings/roles, PUT /api/repos/{name:path}/settings/roles/{user_name},
        DELETE /api/repos/{name:path}/settings/roles/{user_name}, PUT /api/repos/{name:path}/settings/visibility
    """,
    Needs.SERVER: """
        POST /workers/drain, POST /workers/undrain, POST /api/workers/{worker_name}/drain,
        POST /api/workers/{worker_name}/undrain, GET /api/queue, GET /metrics, GET /api/disk, GET /disk,
        GET /api/queue/jobs, GET /queue, GET /settings, GET /api/settings,
        GET /users, POST /users/disable, POST /users/enable, POST /users/remove, GET /audit,
        GET /api/users, POST /api/users/{user_name}/disable, POST /api/users/{user_name}/enable,
        DELETE /api/users/{user_name}, GET /api/users/{user_name}/tokens,
        DELETE /api/users/{user_name}/tokens/{token_id}, GET /api/users/{user_name}/sessions,
        DELETE /api/users/{user_name}/sessions/{session_id}, GET /api/audit,
        PUT /api/repos/{name:path}/settings/name
    """,
}
RULES = {" ".join(call.split()): needs for needs, calls in _TABLE.items() for call in calls.split(",")}

NOT_AUDITED = frozenset({"POST /logout", "POST /hooks/{name:path}"})
"""Calls that change something but leave no entry in the audit log."""
