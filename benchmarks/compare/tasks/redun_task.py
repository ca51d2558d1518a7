import subprocess
from glob import glob

from redun import File, task  # type: ignore

redun_namespace = "compare"


@task()
def count(text: File) -> File:
    result = File(text.path.replace("texts/", "counts/"))
    result.write(subprocess.run(["count-words"], input=text.read("rb"), capture_output=True, check=True).stdout, "wb")
    return result


@task()
def merge(counts: list[File]) -> File:
    result = File("total.txt")
    argv = ["merge-counts", *(file.path for file in counts)]
    result.write(subprocess.run(argv, capture_output=True, check=True).stdout, "wb")
    return result


@task()
def main() -> File:
    return merge([count(File(path)) for path in sorted(glob("texts/*.txt"))])
