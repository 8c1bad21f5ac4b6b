"""A hub on this machine: as much of the Hugging Face hub's interface as pushing and reading one model takes."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(ThreadingHTTPServer):
    """Repositories by name, each a dictionary of files; `token` is the one that may write."""

    def __init__(self, token):
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.repos, self.commits, self.asked = token, {}, [], []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        hub, body = self.server, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.asked.append(self.path)
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self.answer({"error": "Invalid credentials"}, 401, X_Error_Message="Invalid username or password.")
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            hub.repos.setdefault(name, {})
            return self.answer({"url": f"{hub.address}/{name}", "id": name, "name": name})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        name, what = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main.*", self.path).groups()
        if what == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.answer({"files": files})
        lines = [json.loads(line) for line in body.splitlines()]
        for line in lines:
            if line["key"] == "file":
                hub.repos[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        hub.commits.append((name, lines[0]["value"]["summary"]))
        address = f"{hub.address}/{name}/commit/{'c' * 40}"
        return self.answer({"commitUrl": address, "commitOid": "c" * 40, "success": True})

    def do_GET(self):
        hub = self.server
        hub.asked.append(self.path)
        about = re.match(r"/api/models/([^/]+/[^/]+)(/(?:revision|tree)/[^/?]+)?(\?.*)?$", self.path)
        file = re.match(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)$", self.path)
        name = (about or file or [None, None])[1]
        if name not in hub.repos:
            return self.answer({"error": "none"}, 404, X_Error_Code="RepoNotFound", X_Error_Message="none")
        if about and (about[2] or "").startswith("/tree"):
            files = hub.repos[name].items()
            return self.answer([{"type": "file", "path": p, "size": len(c), "oid": "0" * 40} for p, c in files])
        if about:
            siblings = [{"rfilename": path} for path in hub.repos[name]]
            return self.answer({"id": name, "sha": "c" * 40, "siblings": siblings, "tags": []})
        content = hub.repos[name].get(file[2])
        if content is None:
            return self.answer({"error": "none"}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit="c" * 40)
        tag = hashlib.sha1(content).hexdigest()
        return self.answer(content, ETag=f'"{tag}"', X_Repo_Commit="c" * 40)

    do_HEAD = do_GET


@contextlib.contextmanager
def serving(monkeypatch, cache, token="hf_right"):
    """A hub that huggingface_hub talks to, with an empty cache and nobody logged in."""
    from huggingface_hub import constants

    hub = Hub(token)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
