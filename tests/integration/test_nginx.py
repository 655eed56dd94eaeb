"""A real nginx in front, with the configuration that docs/media.md shows: it names the clients, and sends media."""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.edge import edge_site, is_local, mac, name, planned
from tests.integration.nginx import Nginx
from tests.support import ROOT, Answer, Running, need, running, verb

CONTENT = os.urandom(3_000_000)


@dataclass
class Scene:
    server: Running
    nginx: Nginx
    media: Path

    def ask(self, path: str, source: str = "127.0.0.1", method: str = "GET", **headers: str) -> Answer:
        netloc = urlsplit(self.nginx.url).netloc
        with closing(http.client.HTTPConnection(netloc, source_address=(source, 0), timeout=20)) as connection:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {key.lower(): value for key, value in answer.getheaders()})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    need("nginx")
    root = tmp_path_factory.mktemp("nginx")
    media = root / "media"
    (media / "t").mkdir(parents=True)
    (media / "t" / "it's 1+1%").write_bytes(CONTENT)
    (media / "t" / ".treeinfo").write_text("[general]\n")
    (media / "t" / ".hidden").write_text("SECRET")
    (media / "t" / "out").symlink_to("/etc/passwd")
    (media / "t" / "in").symlink_to("it's 1+1%")
    # nginx asks from an address of its own, as it does from another machine.
    with running(
        edge_site(root / "site", hosts=5), root / "state", "--media", str(media), "--nginx", "127.0.0.3"
    ) as server:
        config = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/media.md").read_text(), re.S)
        assert config
        text = config[1].replace("listen 80", "listen PORT").replace("/srv/bootforge/media", str(media))
        text = text.replace("http://127.0.0.1:8080;", f"{server.http}; proxy_bind 127.0.0.3;")
        assert "PORT" in text and server.http in text and str(media) in text
        with Nginx(root / "nginx", text, whole=True) as nginx:
            yield Scene(server, nginx, media)


PATH = "/media/t/it's%201+1%25"


def test_nginx_sends_the_files(scene: Scene) -> None:
    answer = scene.ask(PATH)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["server"].startswith("nginx") and "x-accel-redirect" not in answer.headers
    assert scene.ask("/media/t/in").body == CONTENT, "a link is followed here, and nginx gets where it leads"
    ranged = scene.ask(PATH, Range="bytes=5-9,20-30")
    assert ranged.status == 206 and ranged.headers["content-type"].startswith("multipart/byteranges")
    head = scene.ask(PATH, method="HEAD")
    assert head.headers["content-length"] == str(len(CONTENT))
    direct = scene.server.get(PATH)
    assert direct.body == CONTENT, "who asks Bootforge itself gets the file from it"
    assert scene.server.get(PATH, "127.0.0.3").headers["x-accel-redirect"] == "/_media/t/it%27s%201%2B1%25"


def test_what_may_not_be_had_cannot_be_had_through_nginx(scene: Scene) -> None:
    for path in (
        "/media/t/.hidden",
        "/media/t/out",
        "/media/t",
        "/media/t/",
        "/media/",
        "/_media/t/.hidden",
        "/_media/t/in",
        "/_media/",
        "/media/..%2f_media/t/.hidden",
        "/media/t/%2e%2e/%2e%2e/state/key",
    ):
        answer = scene.ask(path)
        assert answer.status == 404 and b"SECRET" not in answer.body, path


def test_clients_are_who_nginx_says(scene: Scene) -> None:
    path = scene.server.grant(name(1))
    assert scene.ask(path, "127.0.0.7").status == 200
    assert scene.ask(path, "127.0.0.8").status == 404, "the first client has it"
    assert scene.ask(path, "127.0.0.8", X_Forwarded_For="127.0.0.7").status == 404, "what a client says is nothing"
    assert scene.server.get(path, "127.0.0.8", X_Forwarded_For="127.0.0.7").status == 404, "but for nginx's address"
    assert scene.ask(path, "127.0.0.7").status == 200
    assert scene.ask(path, planned(1)).status == 200
    assert [event.address for event in scene.server.recorded(name(1)) if event.kind == "refused"][-1] == "127.0.0.8"
    for said in ("nonsense", "", "127.0.0.7, ", "1" * 1000):
        assert scene.server.get(path, "127.0.0.3", X_Forwarded_For=said).status == 404
    assert scene.server.get(path, "127.0.0.3", X_Forwarded_For="127.0.0.9, 127.0.0.7").status == 200
    assert scene.server.get(path, "127.0.0.3", X_Forwarded_For="127.0.0.7, 127.0.0.9").status == 404


def test_an_install_goes_through_nginx(scene: Scene) -> None:
    path = scene.server.grant(name(2))
    assert not is_local(scene.ask(f"/m/{mac(2)}/boot.ipxe"))
    assert scene.ask(path).status == 200 and scene.ask(path.replace("kickstart", "bootstrap")).status == 200


def test_repo_probe_is_content_with_nginx_in_front(scene: Scene) -> None:
    done = verb("repo", "probe", f"{scene.nginx.url}{PATH}")
    assert done.status == 0, done.out
