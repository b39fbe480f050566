import io
import json
import unittest

from shortlink import Links, make_app


def ask(app, method, path, body=b""):
    answer = {}

    def start_response(status, headers):
        answer["status"], answer["headers"] = status, dict(headers)

    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
    }
    answer["body"] = b"".join(app(environ, start_response))
    return answer


class ShortlinkTest(unittest.TestCase):
    def setUp(self):
        self.app = make_app(Links(":memory:"))

    def add(self, url):
        return ask(self.app, "POST", "/", json.dumps({"url": url}).encode())

    def test_a_short_name_leads_to_its_address(self):
        made = self.add("https://example.com/a?b=c")
        self.assertEqual(made["status"], "201 Created")
        followed = ask(self.app, "GET", "/" + json.loads(made["body"])["name"])
        self.assertEqual(followed["status"], "302 Found")
        self.assertEqual(followed["headers"]["Location"], "https://example.com/a?b=c")

    def test_an_unknown_name_is_not_found(self):
        self.assertEqual(ask(self.app, "GET", "/nope")["status"], "404 Not Found")

    def test_what_is_no_web_address_is_refused(self):
        for url in ("javascript:alert(1)", "ftp://example.com", "", "x" * 3000):
            with self.subTest(url=url):
                self.assertEqual(self.add(url)["status"], "400 Bad Request")

    def test_a_body_that_is_not_json_is_refused(self):
        self.assertEqual(ask(self.app, "POST", "/", b"{")["status"], "400 Bad Request")

    def test_it_says_that_it_is_healthy(self):
        self.assertEqual(ask(self.app, "GET", "/health")["status"], "200 OK")


if __name__ == "__main__":
    unittest.main()
