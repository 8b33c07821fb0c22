"""The files for containers and Kubernetes: checked by rules, because no engine builds and runs them here."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with uvicorn, without types

from service.setting_sources import FILE, PREFIX
from service.settings import DEFAULT_PORT, SECRET_SETTINGS, Settings, load_settings
from tests.processes import ROOT

SAMPLES = ROOT / "service" / "guide" / "samples"
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """The instructions of the Containerfile, with continued lines joined and comments left out."""
    text = (SAMPLES / "doorcode.Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, value.strip()) for name, _, value in (line.partition(" ") for line in lines)]


def values(name: str, of: list[Instruction]) -> list[str]:
    return [value for instruction, value in of if instruction == name]


def last_stage() -> list[Instruction]:
    found = instructions()
    begins = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[begins:]


def test_image_is_built_in_stages_from_images_with_a_version_and_no_host() -> None:
    stages = values("FROM", instructions())
    assert len(stages) > 1
    for stage in stages:
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)?(-[a-z]+)?( AS [a-z]+)?", stage), stage


def test_image_is_made_of_locked_packages_and_of_files_of_the_checkout() -> None:
    found = instructions()
    assert values("ADD", found) == []
    for command in values("RUN", found):
        if "pip install" in command:
            assert ("--require-hashes" in command) or ("--no-index --no-deps" in command), command
            assert "--no-cache-dir" in command
        assert not re.search(r"\b(curl|wget|sudo|apt-get upgrade)\b", command)
    for copied in values("COPY", found):
        if not copied.startswith("--from=build "):
            for source in shlex.split(copied)[:-1]:
                assert (ROOT / source).exists(), source


def test_image_runs_as_an_ordinary_user_that_may_have_any_id() -> None:
    assert values("USER", last_stage()) == ["10001:0"], "by number, so that a platform can tell that it is not root"
    assert "chmod 0770 /data" in values("RUN", last_stage())[0]
    assert values("VOLUME", last_stage()) == ["/data"]
    assert "DOORCODE_DATA_DIR=/data" in values("ENV", last_stage())[0]


def test_image_asks_the_program_itself_for_its_health_and_gets_signals() -> None:
    found = last_stage()
    assert json.loads(values("ENTRYPOINT", found)[0]) == ["doorcode"], "without a shell, which would keep SIGTERM"
    assert json.loads(values("CMD", found)[0]) == ["serve", "--host", "0.0.0.0"]
    [health] = values("HEALTHCHECK", found)
    assert json.loads(health.partition("CMD ")[2]) == ["doorcode", "health"]
    assert values("EXPOSE", found) == [str(DEFAULT_PORT)]


def test_image_holds_no_secret() -> None:
    for line in values("ENV", instructions()) + values("ARG", instructions()):
        for name in SECRET_SETTINGS:
            assert f"{PREFIX}{name}".upper() not in line


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((SAMPLES / name).read_text()))


def loaded(environ: dict[str, str], tmp_path: Path) -> Settings:
    """The settings of a sample, with secrets from files as the sample mounts them."""
    given = {}
    for name, value in environ.items():
        assert name.removeprefix(PREFIX).removesuffix(FILE).lower() in Settings.model_fields, name
        given[name] = value.replace("${DOMAIN:?the host name of Doorcode}", "auth.example.com")
        if name.endswith(FILE):
            path = tmp_path / Path(value).name
            path.write_text(SECRETS[path.name])
            given[name] = str(path)
    return load_settings(given)


SECRETS = {
    "database_url": "postgres://doorcode:secret@database/doorcode",
    "encryption_keys": "JrkDi9ntGg9qmt1mPpPcqUrD3vxHHtXzA5wQ8hdLzyI=",
}


def test_compose_file_starts_the_database_then_the_migration_then_the_servers(tmp_path: Path) -> None:
    [compose] = documents("compose.yaml")
    services = compose["services"]
    for name, service in services.items():
        assert re.fullmatch(r"[a-z]+(:\d+)?", service["image"]), name
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["doorcode"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    build = services["doorcode"]["build"]
    context = (SAMPLES / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).exists()
    for name in ("doorcode", "migrate"):
        assert services[name]["read_only"]
        assert services[name]["tmpfs"] == ["/tmp"]
    settings = loaded(services["doorcode"]["environment"], tmp_path)
    assert loaded(services["migrate"]["environment"], tmp_path) == settings
    assert settings.database_url == SECRETS["database_url"]
    assert settings.public_url == "https://auth.example.com"
    assert services["caddy"]["command"][-1] == f"doorcode:{DEFAULT_PORT}"
    [network] = compose["networks"]["inside"]["ipam"]["config"]
    assert settings.trusted_proxies == (network["subnet"],)


def test_kubernetes_file_has_the_ports_paths_and_settings_of_the_program(tmp_path: Path) -> None:
    deployment, service, config = documents("kubernetes.yaml")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [port] = container["ports"]
    assert port["containerPort"] == DEFAULT_PORT
    assert service["spec"]["ports"] == [{"port": 80, "targetPort": port["name"]}]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert paths == {
        "startup": {"path": "/healthz", "port": port["name"]},
        "liveness": {"path": "/healthz", "port": port["name"]},
        "readiness": {"path": "/readyz", "port": port["name"]},
    }
    for part in (container, *pod["initContainers"]):
        assert part["securityContext"]["readOnlyRootFilesystem"]
        assert part["image"].partition(":")[0] == "doorcode"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    settings = loaded(config["data"], tmp_path)
    assert settings.rate_limit_url != "memory://", "more than one pod counts failed tries together"
    assert pod["terminationGracePeriodSeconds"] > 30 + 5, "the grace of `serve`, after the pause before SIGTERM"


def test_kubernetes_file_is_short() -> None:
    assert len((SAMPLES / "kubernetes.yaml").read_text().splitlines()) <= 42


@pytest.mark.parametrize("name", ["doorcode.Containerfile", "compose.yaml", "kubernetes.yaml"])
def test_no_image_names_a_registry(name: str) -> None:
    assert not re.search(r"(image:|FROM) \S*\w\.\w+/", (SAMPLES / name).read_text())
