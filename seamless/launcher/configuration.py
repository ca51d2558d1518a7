"""The launch dict: what to start, where, and how to see that it is well. Checked here, with the reason of a refusal.

Key and command are templates (`templates`); a command is split into words once and never seen by a shell.
"""

from __future__ import annotations

import _socket  # the part of `socket` that is written in C: the rest takes long to import
import json
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from seamless.launcher.errors import ConfigurationRefused, LauncherError
from seamless.launcher.handshake import HandshakeConfig
from seamless.launcher.paths import is_key

LOG_LEVELS = ("minimal", "basic", "debug")
START_SECONDS = 300.0
_STAND_IN = "/@status-file@"
_LOG_FIELDS = ("log_level", "log_file", "debug_log_file")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SSH_NAME = re.compile(r"[A-Za-z0-9._@][A-Za-z0-9._@-]*")
_LOOPBACK = frozenset({"localhost", "localhost.", "::1", "[::1]"})


class Configuration:
    """A checked launch dict. `fields` is what templates see; `key` is evaluated, `command` is not yet.

    A plain class, which is made sooner at import than a NamedTuple of so many fields.
    """

    key: str
    command: str
    workdir: str
    fields: Mapping[str, Any]
    hostname: str | None = None
    ssh_hostname: str | None = None
    network_interface: str = "localhost"
    tunnel: bool = False
    handshake: HandshakeConfig | None = None
    conda: str | None = None
    image: Mapping[str, Any] | None = None
    file_parameters: Mapping[str, Any] | None = None
    meta: Mapping[str, Any] | None = None
    insecure: bool = False
    start_timeout: float = START_SECONDS
    log_level: str = "basic"
    log_file: str | None = None
    debug_log_file: str | None = None

    def __init__(self, **values: Any):
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Configuration cannot be changed; use replaced({name}=...)")

    def replaced(self, **changes: Any) -> Configuration:
        """Return a copy with these fields changed; they are not checked again."""
        return type(self)(**{**self.__dict__, **changes})

    @classmethod
    def from_mapping(cls, mapping: Any) -> Configuration:
        """Check a launch dict. Raises ConfigurationRefused (a LauncherError), which names the field."""
        if not isinstance(mapping, Mapping):
            raise ConfigurationRefused("Configuration mapping must be a dictionary.")
        fields = {name: value for name, value in mapping.items() if name not in _LOG_FIELDS}
        get = mapping.get
        hostname, ssh_hostname = _hosts(get("hostname"), get("ssh_hostname"))
        log_level = _log_level(get("log_level"))
        workdir = _workdir(get("workdir"))
        for name in ("key", "command"):
            _require(isinstance(get(name), str), f"{name} must be provided and be a string.")
        tunnel = get("tunnel", False)
        _require(isinstance(tunnel, bool), "tunnel must be a boolean when provided.")
        if tunnel and hostname is None:
            _refuse("SSH tunneling requires hostname and ssh_hostname to be configured.")
        conda, image = get("conda"), get("image")
        _require(conda is None or isinstance(conda, str), "The conda field, when present, must be a string.")
        _require(image is None or isinstance(image, Mapping), "image must be a mapping when provided.")
        _require(conda is None or image is None, "conda and image exclude each other.")
        if image is not None:  # what a launch dict says of the image beside it goes wherever the image is named
            image = {**image, **{name: mapping[name] for name in ("submit", "submit_binds") if name in mapping}}
            _require(image.get("submit") in (None, "bind", "proxy"), "submit must be 'bind' or 'proxy' with an image.")
        _require(isinstance(get("insecure", False), bool), "insecure must be a boolean when provided.")
        return cls(
            key=_key(mapping["key"], fields),
            command=mapping["command"],
            workdir=workdir,
            fields=fields,
            hostname=hostname,
            ssh_hostname=ssh_hostname,
            network_interface=_interface(get("network_interface", "localhost")),
            tunnel=tunnel,
            handshake=_handshake(get("handshake")),
            conda=conda,
            image=image,
            file_parameters=_json_mapping(get("file_parameters"), "file_parameters"),
            meta=_json_mapping(get("meta"), "meta"),
            insecure=get("insecure", False),
            start_timeout=_seconds(get("start_timeout", START_SECONDS)),
            log_level=log_level,
            log_file=_optional_text(get("log_file"), "log_file"),
            debug_log_file=_optional_text(get("debug_log_file"), "debug_log_file"),
        )

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Configuration:
        """Read and check a YAML file. Raises ConfigurationRefused with the file and, where known, the line."""
        try:
            import yaml
        except ImportError:
            raise LauncherError(
                "reading a YAML file needs the package PyYAML", hint="pip install PyYAML, or call run() with a dict"
            ) from None
        try:
            with open(path, encoding="utf-8") as f:
                value = yaml.safe_load(f)
        except OSError as exc:
            raise ConfigurationRefused(f"cannot read {os.fspath(path)}: {exc.strerror}") from exc
        except (yaml.YAMLError, UnicodeError) as exc:
            mark = getattr(exc, "problem_mark", None)
            where = f"{os.fspath(path)}:{mark.line + 1}" if mark is not None else os.fspath(path)
            raise ConfigurationRefused(f"{where}: {getattr(exc, 'problem', None) or exc}") from exc
        try:
            return cls.from_mapping(value)
        except ConfigurationRefused as exc:
            raise ConfigurationRefused(f"{os.fspath(path)}: {exc.message}") from exc

    @property
    def is_local(self) -> bool:
        """Whether the service is to run on this machine."""
        hosts = [host for host in (self.hostname, self.ssh_hostname) if host is not None]
        return self.hostname is None or all(is_loopback(host) for host in hosts)

    @property
    def ssh_target(self) -> str:
        """What ssh is told to reach the host; empty on this machine."""
        return "" if self.is_local else self.ssh_hostname or self.hostname or ""

    def evaluated_command(self, status_file: str) -> str:
        """Return the command line with its template evaluated. Raises ConfigurationRefused."""
        text = self.command.replace("{status_file}", status_file)
        if "{" in text or "}" in text:
            names = {name: value for name, value in self.fields.items() if str(name).isidentifier()}
            names |= {"config": dict(self.fields), "key": self.key, "status_file": status_file}
            text = _evaluate(self.command, names)
        if not text.strip() or "\n" in text or "\r" in text or "\0" in text:
            _refuse("The command must be a plausible bash command.")
        return text

    def argv(self, status_file: str) -> list[str]:
        """Return the words of the evaluated command. Raises ConfigurationRefused."""
        # A path that the split would take apart is filled in after it.
        safe = shlex.quote(status_file) == status_file
        text = self.evaluated_command(status_file if safe else _STAND_IN)
        try:
            words = [word if safe else word.replace(_STAND_IN, status_file) for word in shlex.split(text)]
        except ValueError as exc:
            raise ConfigurationRefused(f"Failed to split evaluated command: {exc}") from exc
        if not words or not words[0]:
            _refuse("The command must include a service binary.")
        if self.insecure and "--insecure" not in words:
            words.append("--insecure")
        return words


def _refuse(text: str) -> None:
    raise ConfigurationRefused(text)


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ConfigurationRefused(text)


def _evaluate(template: str, names: Mapping[str, Any]) -> str:
    from seamless.launcher.templates import TemplateError, evaluate

    try:
        return evaluate(template, names)
    except TemplateError as exc:
        raise ConfigurationRefused(f"Failed to evaluate template {template!r}: {exc}") from exc


def _key(template: str, fields: Mapping[str, Any]) -> str:
    key = template
    if "{" in key or "}" in key:
        names = {name: value for name, value in fields.items() if str(name).isidentifier()}
        names.pop("key", None)
        key = _evaluate(template, {**names, "config": dict(fields)})
    if not is_key(key):
        _refuse(
            "The key must be a plausible UNIX file name. "
            f"Found {key[:80]!r}; expected at most 200 letters, digits, '.', '_' and '-', not beginning with '-' or '.'"
        )
    return key


def _workdir(value: Any) -> str:
    if not isinstance(value, str):
        _refuse("workdir must be provided and be a string.")
    good = (value.startswith(("/", "~/")) or value == "~") and value.isprintable()
    if not good:
        _refuse(
            "workdir must be a plausible UNIX directory name. "
            f"Found {value!r}; expected an absolute path, or one that begins with '~/'"
        )
    return str(value)


def _hosts(hostname: Any, ssh_hostname: Any) -> tuple[str | None, str | None]:
    _require(hostname is None or isinstance(hostname, str), "hostname must be a string when provided.")
    if hostname is not None and not is_host(hostname):
        _refuse(f"hostname must be an HTTP hostname or IP address. Found {hostname!r}")
    _require(ssh_hostname is None or isinstance(ssh_hostname, str), "ssh_hostname must be a string when provided.")
    if ssh_hostname is not None and not (is_host(ssh_hostname) or _SSH_NAME.fullmatch(ssh_hostname)):
        _refuse(f"ssh_hostname must be a valid SSH hostname or IP address. Found {ssh_hostname!r}")
    return hostname, ssh_hostname


def _interface(value: Any) -> str:
    _require(isinstance(value, str), "network_interface must be a string.")
    if not is_host(value):
        _refuse(f"network_interface must be a valid HTTP hostname or IP address. Found {value!r}")
    return str(value)


def is_host(text: str) -> bool:
    """Tell whether `text` is an IP address or a host name.

    >>> [is_host(text) for text in ("a-b.example", "10.0.0.1", "fe80::1%eth0", "user@host", "-x", "a_b")]
    [True, True, True, False, False, False]
    """
    for family, address in ((_socket.AF_INET, text), (_socket.AF_INET6, text.partition("%")[0])):
        try:
            _socket.inet_pton(family, address)
            return True
        except (OSError, ValueError):
            continue
    name = text[:-1] if text.endswith(".") else text
    return 0 < len(text) <= 253 and all(_LABEL.fullmatch(label) for label in name.split("."))


def is_loopback(host: str) -> bool:
    """Tell whether `host` can only be this machine.

    >>> is_loopback("127.0.0.3"), is_loopback("localhost"), is_loopback("127.example")
    (True, True, False)
    """
    return host.lower() in _LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdigit())


def _handshake(value: Any) -> HandshakeConfig | None:
    if value is None:
        return None
    if isinstance(value, str):
        return HandshakeConfig(_plain_path(value))
    if not isinstance(value, Mapping):
        _refuse("handshake must be a string path or a mapping with path and parameters.")
    path, parameters, port_name = value.get("path", ""), value.get("parameters"), value.get("port_name")
    _require(isinstance(path, str), "handshake.path must be a string.")
    _require(port_name is None or isinstance(port_name, str), "handshake.port_name must be a string.")
    if parameters is None:
        parameters = {}
    _require(isinstance(parameters, Mapping), "handshake.parameters must be a mapping.")
    for name, item in parameters.items():
        if not isinstance(name, str) or not isinstance(item, (str, int, float)):
            _refuse("handshake parameters must map strings to simple values.")
    return HandshakeConfig(_plain_path(path), {name: str(item) for name, item in parameters.items()}, port_name)


def _plain_path(path: str) -> str:
    _require(path.isprintable() and " " not in path, "handshake.path must hold no blanks or control characters.")
    return path


def _json_mapping(value: Any, name: str) -> Mapping[str, Any] | None:
    if value is None:
        return None
    _require(isinstance(value, Mapping), f"{name} must be a mapping when provided.")
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigurationRefused(f"{name} must contain JSON-serializable values. ({exc})") from exc
    return dict(value)


def _log_level(value: Any) -> str:
    level = "basic" if value is None else value
    _require(level in LOG_LEVELS, "log_level must be one of: minimal, basic, debug.")
    return str(level)


def _optional_text(value: Any, name: str) -> str | None:
    _require(value is None or isinstance(value, str), f"{name} must be a string when provided.")
    return value  # type: ignore[no-any-return]


def _seconds(value: Any) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
    _require(good, f"start_timeout must be a number of seconds greater than 0. Found {value!r}")
    return float(value)
