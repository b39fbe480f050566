"""PHP and Ruby."""

from runner.cli.init.found import Found, Step, step, version_in
from runner.cli.init.repository import Repository


def find_php(repository: Repository) -> Found | None:
    """The steps of a project of Composer at the root."""
    if not repository.has("composer.json"):
        return None
    text = repository.text("composer.json")
    image, steps = "composer:2", list[Step]()
    install = "composer install --no-interaction"
    if repository.matching(r"phpstan\.(?:neon|dist\.neon|neon\.dist)"):
        steps.append(step("lint", image, [install, "vendor/bin/phpstan analyse"], "composer"))
    if "pestphp/pest" in text or "phpunit/phpunit" in text or repository.has("phpunit.xml", "phpunit.xml.dist"):
        program = "pest" if "pestphp/pest" in text else "phpunit"
        commands = [install, f"vendor/bin/{program} --log-junit report.xml"]
        steps.append(step("test", image, commands, "composer", "report.xml"))
    else:
        steps.append(step("test", image, [install, "composer validate"], "composer"))
    return Found("PHP with Composer", steps)


def find_ruby(repository: Repository) -> Found | None:
    """The steps of a project of Bundler at the root."""
    if not repository.has("Gemfile"):
        return None
    text = repository.text("Gemfile") + repository.text("Gemfile.lock")
    image = "ruby:" + version_in(repository.text(".ruby-version"), r"(\d+\.\d+)", "3.4")
    steps: list[Step] = []
    if repository.has(".rubocop.yml"):
        steps.append(step("lint", image, ["bundle install", "bundle exec rubocop"], "bundler"))
    if repository.has(".rspec") or "rspec" in text:
        has_report = "rspec_junit_formatter" in text
        options = " --format progress --format RspecJunitFormatter --out report.xml" if has_report else ""
        command, reports = f"bundle exec rspec{options}", "report.xml" if has_report else ""
    else:
        command, reports = "bin/rails test" if repository.has("bin/rails") else "bundle exec rake", ""
    steps.append(step("test", image, ["bundle install", command], "bundler", reports))
    return Found("Ruby with Bundler", steps)
