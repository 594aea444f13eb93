"""The Hub's redirects, answered by nginx: a program that fetches thousands of files asks for as many.

The stand-in would take a third of the cores for them, on which the programs are measured. It answers all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from prefetch.demo.content import Content

__all__ = ["configuration"]

CONFIGURATION = """
    map_hash_max_size 65536;
    map_hash_bucket_size 256;
    map $file $linked_size {{ {sizes} }}
    map $file $linked_hash {{ {hashes} }}
    server {{
        listen 127.0.0.1:{port};
        access_log off;
        {{gate}}
        location ~ "^/{repo}/resolve/[^/]+/(?<file>.+)$" {{
            # By way of another location: a gate would not be asked before a plain return.
            try_files /nothing @redirect;
        }}
        location @redirect {{
            add_header X-Repo-Commit {commit};
            add_header X-Linked-Size $linked_size;
            add_header X-Linked-Etag '"$linked_hash"';
            return 302 "{cdn}/$file?{signature}$linked_hash";
        }}
        location / {{
            proxy_pass http://127.0.0.1:{stand_in};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""
SIGNATURE = "X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature="
"""Of the length and shape that the Hub's CDN has; nginx does not look at the query."""


def configuration(files: Mapping[str, Content], *, repo: str, commit: str, port: int, stand_in: int, cdn: str) -> str:
    """For nginx's http block: a server on ``port`` that redirects to ``cdn`` for ``files`` of the repository.

    Args:
        stand_in: the port of the server for all other requests.
    """
    return CONFIGURATION.format(
        sizes=" ".join(f"{path} {content.size};" for path, content in files.items()),
        hashes=" ".join(f"{path} {content.sha256};" for path, content in files.items()),
        port=port,
        repo=repo,
        commit=commit,
        cdn=cdn,
        signature=SIGNATURE,
        stand_in=stand_in,
    )
