"""Runs that are stopped in the middle."""

import subprocess


def until_step(process: subprocess.Popen[str], steps: int) -> list[str]:
    """Read the run's progress until so many steps have ended."""
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if sum(" ok " in text for text in seen) >= steps:
            break
    return seen


def until_done(process: subprocess.Popen[str], step: str, cluster: str) -> None:
    """Read the run's progress until this step has ended."""
    for line in process.stderr:
        if " ok " in line and f" {step}  {cluster}" in line:
            return
    raise AssertionError(f"the run ended without {step}")


def end_region(folder) -> None:
    from isthmus.providers.lab import region

    pid = region.supervisor(_Folder(folder))
    subprocess.run(["kill", "-9", str(pid)], check=True)


class _Folder:
    def __init__(self, folder) -> None:
        self.folder = folder
