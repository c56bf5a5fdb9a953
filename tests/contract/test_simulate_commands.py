"""`matokit simulate`: what it prints is all that a client needs, and it stops by itself."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import requests


@pytest.mark.parametrize("command", ["matomo", "piwik-pro"])
def test_a_client_gets_in_with_what_is_printed_and_the_service_ends(command: str) -> None:
    small = ["--port", "0", "--days", "3", "--events-per-day", "20", "--minutes", "0.05", "--no-faults"]
    words = [sys.executable, "-m", "matokit_pipelines.cli.main", "simulate", command, *small]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        told: list[str] = []
        while not (told and told[-1].startswith("Ctrl-C")):
            told.append(process.stdout.readline())
        text = "".join(told)
        exports = dict(re.findall(r"export (\w+)=(\w+)", text))
        url, site = re.findall(r"--url (\S+) --site (\S+)", text)[0]
        if command == "matomo":
            asked = {"module": "API", "format": "json", "method": "SitesManager.getSiteFromId", "idSite": site}
            token = {"token_auth": exports["MATOKIT_INSTALLERS_TOKEN"]}
            zone = requests.post(url + "/index.php", params=asked, data=token, timeout=5).json()["timezone"]
            assert "Its site 2 is a download site" in text
            seen = asked | {"idSite": "2", "method": "Goals.getGoals"}
            assert len(requests.post(url + "/index.php", params=seen, data=token, timeout=5).json()) == 3
        else:
            sent = {"grant_type": "client_credentials"} | {
                name: exports[f"MATOKIT_INSTALLERS_{name.upper()}"] for name in ("client_id", "client_secret")
            }
            bearer = requests.post(url + "/auth/token", json=sent, timeout=5).json()["access_token"]
            headers = {"Authorization": f"Bearer {bearer}"}
            answer = requests.get(f"{url}/api/apps/v2/{site}", headers=headers, timeout=5).json()
            zone = answer["data"]["attributes"]["timezone"]
        assert zone == "Europe/Copenhagen"
        assert process.stdout.read() == "Stopped.\n"
        assert process.wait(10) == 0
