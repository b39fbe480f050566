"""A long history, made in seconds by the database itself: repositories, runs in all states, jobs, steps, a queue."""

import json
from dataclasses import dataclass

from sqlalchemy import Engine, text

from pipelines.plan import Concurrency
from tests.support.builders import job_plan, push
from workers.db.session import transaction
from workers.labels import lane_of

NOBODYS = {"gpu": "a100"}
"""Labels that no worker of the tests offers."""
OFFERED = {"platform": "linux/amd64", "hostname": "w", "backend": "docker", "repo": "*"}
PLAN = job_plan("test", steps=5).model_dump_json()
GROUPED_PLAN = (
    job_plan("deploy", steps=5).model_copy(update={"concurrency": Concurrency(group="prod")}).model_dump_json()
)
MIX = ("free", "labels", "group", "needs", "unplanned")
"""What the waiting jobs wait for: a worker, a worker with labels, their turn, another job, to be planned."""


@dataclass(frozen=True)
class History:
    """How much there is. The newest runs wait, as many as have ``queued`` jobs; all others have ended.

    Runs go around the repositories. ``waits_for`` has the kinds of waiting jobs, in turns from run to run. Where jobs
    wait for their turn, the first jobs of two groups run, on a worker that has no more slots.
    """

    runs: int
    repos: int = 20
    jobs_of_run: int = 2
    steps_of_job: int = 5
    queued: int = 0
    waits_for: tuple[str, ...] = MIX
    groups: int = 1
    different_labels: bool = False

    @property
    def waiting_runs(self) -> int:
        """How many of the runs wait."""
        return -(-self.queued // self.jobs_of_run)


def fill(engine: Engine, history: History) -> None:
    """Writes the history into empty tables."""
    names = {
        "runs": history.runs,
        "repos": history.repos,
        "jobs": history.jobs_of_run,
        "steps": history.steps_of_job,
        "ended": history.runs - history.waiting_runs,
        "trigger": push().model_dump_json(),
        "plan": PLAN,
        "groups": history.groups,
        "grouped_plan": GROUPED_PLAN,
        "labels": json.dumps(NOBODYS),
        "lane": lane_of(NOBODYS),
        "offered": json.dumps(OFFERED),
    }
    with transaction(engine) as session:
        jobs = _jobs(history, engine.dialect.name)
        for statement in (_REPOS, _RUNS, jobs, _RUNNING_JOBS, _TURNS, _STEPS, _WORKER):
            used = {name: value for name, value in names.items() if f":{name}" in statement}
            session.execute(text(statement), used)
        if engine.dialect.name == "postgresql":
            for table in ("repos", "runs", "jobs", "steps"):
                session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"))


def _numbers(name: str, count: str) -> str:
    return (
        f"WITH RECURSIVE {name}(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM {name} WHERE n < CAST(:{count} AS INTEGER))"
    )


_NOW_MS = "1764000000000"
_REPOS = f"""
INSERT INTO repos (id, name, forge, clone_url, web_url, default_branch, private, hook_secret_sealed, clone_username,
  clone_password_sealed, forge_token_sealed, forge_api_url, push_repo, trust_network, trust_volumes, trust_security,
  active, newest_wins, last_number, newest_ms, created_ms)
{_numbers("s", "repos")}
SELECT n, 'team-' || (n % 7) || '/repo-' || n, 'generic', 'https://git.example.com/r.git', '', 'main', false, '', '',
  '', '', '', '', false, false, false, true, '["pull_request"]',
  (CAST(:runs AS INTEGER) - n + CAST(:repos AS INTEGER)) / CAST(:repos AS INTEGER),
  {_NOW_MS} + n % 1000, {_NOW_MS} FROM s
"""
_RUNS = f"""
INSERT INTO runs (id, repo_id, number, trigger, event, ref, branch, sha, title, message, author, state, reason,
  sentence, problems, warnings, left_out, cancel_by, created_ms, started_ms, finished_ms)
{_numbers("s", "runs")}
SELECT n, (n - 1) % CAST(:repos AS INTEGER) + 1, (n - 1) / CAST(:repos AS INTEGER) + 1, CAST(:trigger AS TEXT),
  CASE WHEN n % 5 = 0 THEN 'pull_request' WHEN n % 33 = 0 THEN 'tag' ELSE 'push' END,
  CASE WHEN n % 3 = 0 THEN 'refs/heads/main'
    ELSE 'refs/heads/topic-' || (n % 997) END,
  CASE WHEN n % 3 = 0 THEN 'main' ELSE 'topic-' || (n % 997) END,
  '0123456789abcdef0123456789' || (10000000000000 + n), 'Mend the roof, part ' || n, 'Mend the roof', 'Ada Lovelace',
  CASE WHEN n > CAST(:ended AS INTEGER) THEN 'queued' WHEN n % 11 = 0 THEN 'failed' WHEN n % 301 = 0 THEN 'broken'
    WHEN n % 17 = 0 THEN 'canceled' ELSE 'passed' END,
  CASE WHEN n <= CAST(:ended AS INTEGER) AND n % 11 = 0 THEN 'exit_code' END,
  '', '[]', '[]', '[]', '', {_NOW_MS} + n, {_NOW_MS} + n,
  CASE WHEN n <= CAST(:ended AS INTEGER) THEN {_NOW_MS} + n + 1 END FROM s
"""


def _jobs(history: History, dialect: str) -> str:
    """The jobs: of a waiting run all wait for the same, unplanned ones have only one."""
    kinds = "".join(f" WHEN {at} THEN '{kind}'" for at, kind in enumerate(history.waits_for))
    kind = f"CASE runs.id % {len(history.waits_for)}{kinds} END"
    if history.different_labels:
        labels, lane = """'{"gpu": "' || run_id || '"}'""", "'lane-' || run_id"
    else:
        labels, lane = "CAST(:labels AS TEXT)", "CAST(:lane AS TEXT)"
    as_json = "CAST({} AS JSON)" if dialect == "postgresql" else "{}"
    return f"""
INSERT INTO jobs (run_id, repo_id, number, name, file, cell, labels, needs, on_success, on_failure, plan, group_key,
  group_name, group_limit, cancel_by, ready, lane, state, reason, message, attempt, lease_owner, host, lost, rung_ms,
  created_ms, started_ms, finished_ms)
{_numbers("s", "jobs")},
all_jobs AS (SELECT runs.id AS run_id, repo_id, s.n AS number, runs.state, runs.created_ms, runs.finished_ms,
  CASE WHEN runs.state = 'queued' THEN {kind} ELSE 'ended' END AS kind FROM runs CROSS JOIN s)
SELECT run_id, repo_id, number, 'job-' || number, '.headway/test.yml', '{{}}',
  {as_json.format(f"CASE kind WHEN 'labels' THEN {labels} ELSE '{{}}' END")}, '[]', true, false,
  CASE kind WHEN 'unplanned' THEN NULL WHEN 'group' THEN CAST(:grouped_plan AS TEXT) ELSE CAST(:plan AS TEXT) END,
  CASE WHEN kind = 'group' OR kind = 'ended' AND run_id % 10 = 0 THEN repo_id
    || '\\:\\:group:prod-' || (run_id % CAST(:groups AS INTEGER)) END,
  CASE kind WHEN 'group' THEN 'prod' ELSE '' END, 1, '', kind <> 'needs',
  CASE kind WHEN 'labels' THEN {lane} WHEN 'free' THEN '' WHEN 'unplanned' THEN '' END,
  CASE WHEN kind = 'ended' THEN state ELSE 'queued' END, NULL, '',
  CASE kind WHEN 'ended' THEN 1 ELSE 0 END, '', '', 0, {_NOW_MS}, created_ms, NULL, finished_ms
FROM all_jobs WHERE kind <> 'unplanned' OR number = 1
"""


_FIRST_OF_GROUPS = "SELECT min(id) FROM jobs WHERE state = 'queued' AND group_name = 'prod' GROUP BY group_key"
# Two run, and their leases never end. In each other group it is the first job's turn.
_RUNNING_JOBS = f"""
UPDATE jobs SET state = 'running', attempt = 1, lease_owner = 'w/1', lease_until_ms = 9999999999999
WHERE id IN ({_FIRST_OF_GROUPS} ORDER BY 1 LIMIT 2)
"""
_TURNS = f"""
UPDATE jobs SET lane = '' WHERE id IN ({_FIRST_OF_GROUPS})
AND group_key NOT IN (SELECT group_key FROM jobs WHERE state = 'running')
"""
_WORKER = """
INSERT INTO workers (name, labels, slots, started_ms, seen_ms, until_ms) VALUES ('w', :offered, 2, 0, 0, 9999999999999)
"""
_STEPS = f"""
INSERT INTO steps (job_id, number, name, kind, image, state, message, log_bytes, log_lines, attempt, facts)
{_numbers("s", "steps")}
SELECT jobs.id, s.n, 'step-' || s.n, 'commands', 'busybox',
  CASE WHEN jobs.finished_ms IS NULL THEN 'queued' ELSE 'passed' END,
  '', 1000, 20, 1, '{{}}' FROM jobs CROSS JOIN s WHERE jobs.plan IS NOT NULL
"""
