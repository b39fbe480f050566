"""What the front page of a new installation tells an administrator to paste. A test runs the parser over it."""

PIPELINE = """\
steps:
  - name: test
    image: python:3.13-slim
    commands:
      - python -c "print('It works')"
"""
PUSH = """\
git add .headway.yml
git commit -m "Add a pipeline"
git push
"""
