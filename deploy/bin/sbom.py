"""From `cargo metadata` on standard input and Cargo.lock: a CycloneDX 1.5 list of what the program is made of."""
import json
import sys
import tomllib


def linked(metadata):
    """The ids of all packages that the program links, without what only tests need."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(package["id"] for package in metadata["packages"] if package["name"] == "watchtower")
    waiting, seen = [root], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for dependency in nodes[one]["deps"]:
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return seen


def main():
    metadata = json.load(sys.stdin)
    with open(sys.argv[1], "rb") as file:
        locked = {(one["name"], one["version"]): one.get("checksum") for one in tomllib.load(file)["package"]}
    wanted = linked(metadata)
    components = []
    for package in sorted(metadata["packages"], key=lambda one: (one["name"], one["version"])):
        if package["id"] not in wanted:
            continue
        name, version = package["name"], package["version"]
        component = {"type": "library", "name": name, "version": version, "purl": f"pkg:cargo/{name}@{version}"}
        if package.get("license"):
            component["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if locked.get((name, version)):
            component["hashes"] = [{"alg": "SHA-256", "content": locked[name, version]}]
        components.append(component)
    version = next(package["version"] for package in metadata["packages"] if package["name"] == "watchtower")
    about = {"component": {"type": "application", "name": "watchtower", "version": version}}
    json.dump({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": about, "components": components},
              sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
