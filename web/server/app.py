"""The web application: its middleware, error handlers and routes."""

from collections import Counter

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from web.api import disk, openapi, pipeline_schema, queue, settings_in_force, workers
from web.api.accounts import account as account_api
from web.api.accounts import roles, users
from web.api.repos import crons, deliveries, forge_tokens, inputs, repo_settings, repos, retention, secrets
from web.api.repos import insights as insights_api
from web.api.runs import artifacts, covered_files, logs, runs, sent_trees, tests
from web.hooks import endpoint
from web.pages import account, login
from web.pages import artifacts as artifacts_page
from web.pages import deliveries as deliveries_page
from web.pages import retention as retention_page
from web.pages import settings as settings_page
from web.pages import tests as tests_page
from web.pages import users as users_page
from web.pages.home import page as front
from web.pages.operations import disk as disk_page
from web.pages.operations import queue as queue_page
from web.pages.operations import settings_in_force as settings_in_force_page
from web.pages.operations import workers as workers_page
from web.pages.repos import badge, branches, insights
from web.pages.repos import page as repo_page
from web.pages.run import covered_files as covered_files_page
from web.pages.run import page as run_page
from web.pages.run import shell as shell_page
from web.pages.templates import HERE, make_templates
from web.security.auth import new_secret
from web.security.failed_logins import FailedLogins
from web.security.forwarded import AllowedHosts, TrustedProxies
from web.security.long_requests import long_requests
from web.security.middleware import BodyLimit, LoginGate, SecurityHeaders
from web.security.request_ids import RequestIds
from web.server import health, metrics
from web.server.error_handlers import add_error_handlers
from web.services import Services
from web.streaming import endpoints
from web.streaming.shells import socket as shell_socket
from workers.secrets.vault import hook_place

# A repository's name may contain slashes: a route that ends with the name matches many paths, and must come last.
ROUTERS = (
    health.router,
    metrics.router,
    login.router,
    badge.router,
    account.router,
    account_api.router,
    users.router,
    users_page.router,
    front.router,
    pipeline_schema.router,
    openapi.router,
    workers.router,
    workers_page.router,
    disk.router,
    disk_page.router,
    queue.router,
    queue_page.router,
    settings_in_force.router,
    settings_in_force_page.router,
    endpoints.router,
    shell_socket.router,
    artifacts.router,
    tests.router,
    covered_files.router,
    logs.router,
    crons.router,
    deliveries.router,
    secrets.router,
    forge_tokens.router,
    repo_settings.router,
    retention.router,
    roles.router,
    runs.router,
    sent_trees.router,
    inputs.router,
    insights_api.router,
    repos.router,
    settings_page.router,
    deliveries_page.router,
    artifacts_page.files,
    artifacts_page.router,
    retention_page.router,
    tests_page.router,
    covered_files_page.router,
    shell_page.router,
    run_page.router,
    branches.router,
    insights.router,
    repo_page.router,
)


def create_app(services: Services) -> FastAPI:
    """The application. The caller closes what ``services`` holds."""
    app = FastAPI(
        title="Headway",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=endpoints.lifespan,
        # Looking at each request whether telemetry is on takes a tenth of the time of a webhook.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.templates = make_templates()
    app.state.dummy_hook_secret = services.vault.seal(hook_place(0), new_secret())
    app.state.deliveries = endpoint.make_batcher(services, app.state.dummy_hook_secret)
    app.state.verdicts = Counter[str]()
    app.state.metrics = metrics.InstallationMetrics(services.engine)
    app.state.login_threads = login.make_threads()
    app.state.failed_logins = FailedLogins()
    app.state.long_requests = long_requests()
    settings = services.settings
    # The last that is added is the first that sees a request.
    app.add_middleware(
        BodyLimit, webhook_bytes_max=settings.webhook_body_bytes_max, tree_bytes_max=settings.sent_tree_bytes_max
    )
    app.add_middleware(AllowedHosts, base_url=settings.base_url, names=settings.allowed_hosts)
    app.add_middleware(TrustedProxies, networks=settings.trusted_proxies)
    app.add_middleware(LoginGate, threads=app.state.login_threads)
    app.add_middleware(SecurityHeaders, https=services.secure)
    app.add_middleware(RequestIds)
    add_error_handlers(app)
    app.router.routes.append(endpoint.route)
    # Not by include_router: that would make every route again, 0.1 s for each application.
    app.router.routes += [route for router in ROUTERS for route in router.routes]
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    return app
