"""An nginx in front of the collector, which authenticates people and sends their names."""

from support.private_services import PASSWORD, PrivateService, Program


class Nginx(PrivateService):
    """An nginx that asks for a name and `PASSWORD`, and sends the name in ``X-Remote-User``.

    Args:
        program: Finds a program.
        target: The port of the collector on 127.0.0.1.
        source: The address from which nginx connects to it.
        users: The names of the users.
    """

    def __init__(self, program: Program, target: int, source: str, users: list[str]) -> None:
        super().__init__(program)
        self._target = target
        self._source = source
        self._users = users

    def _prepare(self) -> None:
        users = "".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in self._users)
        (self.folder / "users").write_text(users)
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # One process, which is not a daemon, in the folder.
        (self.folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {self.folder}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}"
            f"server {{\nlisten 127.0.0.1:{self.port};\nauth_basic logs; auth_basic_user_file {self.folder}/users;\n"
            f"location / {{\nproxy_pass http://127.0.0.1:{self._target};\nproxy_bind {self._source};\n"
            'proxy_http_version 1.1;\nproxy_set_header Connection "";\nproxy_set_header Host $http_host;\n'
            'proxy_set_header Authorization "";\nproxy_set_header X-Remote-User $remote_user;\n}\n}\n}\n'
        )

    def _command(self) -> list[str]:
        return [self.program("nginx"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]
