from glob import glob

from redun import File, script, task  # type: ignore

redun_namespace = "compare"


@task()
def count(text: File) -> File:
    return script("count-words < in.txt > out.txt", inputs=[text.stage("in.txt")],
                  outputs=File(text.path.replace("texts/", "counts/")).stage("out.txt"))


@task()
def merge(counts: list[File]) -> File:
    inputs = [file.stage(f"{i}.txt") for i, file in enumerate(counts)]
    names = " ".join(f"{i}.txt" for i in range(len(counts)))
    return script(f"merge-counts {names} > total.txt", inputs=inputs, outputs=File("total.txt").stage("total.txt"))


@task()
def main() -> File:
    return merge([count(File(path)) for path in sorted(glob("texts/*.txt"))])
