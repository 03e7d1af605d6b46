"""Random inputs of the published cases' form, for every unit that `oracles` knows."""

from __future__ import annotations

from random import Random
from typing import Any

Case = dict[str, Any]


def _nodes(rng: Random, count: int) -> list[Case]:
    each = rng.choice((1, 2, 4))
    return [
        {
            "index": i + (rng.random() < 0.05),
            "free_memory_mb": rng.choice((0, 512, 1024, 1500, 2048)),
            "total_memory_mb": rng.choice((1024, 2048)),
            "cpus": list(range(i * each, i * each + each)),
            "huge_pages": [{"size_kib": s, "free": rng.choice((0, 255, 256, 512, 1024))} for s in (2048, 1024)],
        }
        for i in range(count)
    ]


def _distinct_nodes(rng: Random) -> list[Case]:
    nodes = _nodes(rng, rng.choice((0, 1, 2, 2, 3, 4)))
    return list({node["index"]: node for node in nodes}.values())


def numa_hosts(rng: Random) -> list[Case]:
    hosts = []
    for i in range(rng.randint(1, 4)):
        nodes = _distinct_nodes(rng)
        hosts.append({"id": f"host{i}", "numa_supported": bool(nodes) and rng.random() < 0.9, "numa_nodes": nodes})
    return hosts


def numa_vm(rng: Random) -> Case:
    count = rng.choice((0, 1, 2, 2, 3, 4))
    mode = rng.choice(("strict", "strict", "interleave", "preferred"))
    pins = [[0], [1], [0, 1], [1, 0], [2], [0, 1, 2], []]
    each = rng.choice((1, 2))
    return {
        "id": "vm",
        "vcpu_sockets": max(1, count),
        "cores_per_socket": each,
        "threads_per_core": 1,
        "vm_type": rng.choice(("server", "desktop", "high_performance")),
        "cpu_passthrough": rng.random() < 0.2,
        "memory_mb": rng.choice((512, 1024, 1025, 2048)),
        "cpu_pinning": None,
        "cpu_pinning_policy": "none",
        "huge_page_size_kib": rng.choice((None, None, None, 2048, 1024)),
        "running_on": rng.choice((None, None, None, "host0", "elsewhere")),
        "vnuma_nodes": [
            {
                "index": i,
                "memory_mb": rng.choice((256, 512, 1024)),
                "pinned_host_nodes": rng.choice(pins),
                "tune_mode": mode,
                "vcpus": list(range(i * each, i * each + each)),
            }
            for i in range(count)
        ],
    }


def numa(rng: Random) -> Case:
    return {"vm": numa_vm(rng), "hosts": numa_hosts(rng), "max_scheduler_weight": 1000}


def pinned(rng: Random) -> Case:
    case = numa(rng)
    vm = case["vm"]
    total = vm["vcpu_sockets"] * vm["cores_per_socket"]
    if rng.random() < 0.7:
        vm["cpu_pinning"] = "_".join(f"{v}#{rng.choice(('0', '1', '0-1', '2-3', '0-3,^1'))}" for v in range(total))
        vm["cpu_pinning_policy"] = "manual"
    return case


def shapes(rng: Random) -> Case:
    case = numa(rng)
    case["vm"] |= {
        "vcpu_sockets": rng.randint(1, 4),
        "cores_per_socket": rng.randint(1, 4),
        "threads_per_core": rng.randint(1, 2),
    }
    case["vm"]["cpu_pinning"] = rng.choice((None, None, "0#0"))
    case["vm"]["cpu_pinning_policy"] = "manual" if case["vm"]["cpu_pinning"] else "none"
    for host in case["hosts"]:
        sockets = rng.randint(1, 4)
        cores = sockets * rng.randint(1, 4)
        host |= {"cpu_sockets": sockets, "cpu_cores": cores, "cpu_threads": cores * rng.randint(1, 2)}
    return case


def huge_pages(rng: Random) -> Case:
    case = numa(rng)
    sizes = (2048, 1024, 1_048_576)
    case["vm"] |= {"huge_page_size_kib": rng.choice((None, *sizes)), "vnuma_nodes": []}
    for host in case["hosts"]:
        host["huge_pages"] = [
            {"size_kib": s, "free": rng.choice((0, 1, 2, 511, 512, 513, 1024))} for s in sizes if rng.random() < 0.8
        ]
    case["pending"] = [
        {
            "type": "huge_pages",
            "vm": f"other{i}",
            "host": rng.choice(case["hosts"])["id"],
            "size_kib": rng.choice(sizes),
            "count": rng.choice((1, 512)),
        }
        for i in range(rng.randint(0, 2))
    ]
    return case


def cpus(rng: Random) -> Case:
    case = shapes(rng)
    case |= {"count_threads_as_cores": rng.random() < 0.5, "host_cpu_topology_reported": False, "pending": []}
    case["vm"] |= {"cpu_pinning": None, "cpu_pinning_policy": "none"}
    for host in case["hosts"]:
        host["max_running_shared_vm_cores"] = rng.choice((0, 0, 2, 9))
        if rng.random() < 0.1:
            host |= {"cpu_sockets": None, "cpu_cores": 0, "cpu_threads": 0}
        if rng.random() < 0.3:
            cores = rng.randint(1, 9)
            case["pending"].append(
                {"type": "cpu_cores", "vm": f"p{host['id']}", "host": host["id"], "cores": cores, "cpus": cores,
                 "cpu_pinning_policy": "none"}
            )  # fmt: skip
    return case


def tsc(rng: Random) -> Case:
    source = rng.choice((None, "12345.6789", "2000000.5", "4000000"))
    near = [None, "12345", "12346", "12349", "12341", "2000000", "2000500", "2000501", "1999500", "1999499", "4000000"]
    return {
        "vm": {"vm_type": "server", "running": rng.random() < 0.8, "use_tsc_frequency": rng.random() < 0.8},
        "source_host": {"tsc_frequency": source},
        "hosts": [
            {"id": f"host{i}", "tsc_frequency_integral": rng.choice(near), "tsc_scaling_enabled": rng.random() < 0.2}
            for i in range(4)
        ],
    }


def memory_host(rng: Random) -> Case:
    return {
        "physical_memory_mb": rng.choice((1024, 5000, 10_000)),
        "reserved_memory_mb": rng.choice((0, 256)),
        "committed_memory_mb": rng.choice((0, 100, 900, 10_000)),
        "pending_overcommit_memory_mb": rng.choice((0, 0, 65, 500)),
        "overcommit_percent": rng.choice((100, 150, 200)),
        "memory_free_mb": rng.choice((None, 0, 512, 8835, 8900)),
        "swap_free_mb": rng.choice((None, 0, 60, 1000)),
    }


def admission(rng: Random) -> Case:
    return {
        "check": rng.choice(("physical", "overcommit")),
        "vm": {
            "memory_mb": rng.choice((256, 512, 8800, 8865, 9000, 10_000)),
            "huge_page_size_kib": rng.choice((None, None, 2048)),
            "static_overhead_mb": rng.choice((-1200, 0, 65, 256)),
            "possible_overhead_mb": rng.choice((0, 40)),
        },
        "host": memory_host(rng),
        "pending_physical_memory_mb": rng.choice((0, 65)),
        "dynamic_huge_page_memory_mb": rng.choice((0, 0, 300, 9000)),
    }


def load(rng: Random) -> Case:
    hosts = []
    for i in range(rng.randint(1, 5)):
        cores = rng.choice((1, 2, 4))
        hosts.append(
            memory_host(rng)
            | {
                "id": f"host_{i}",
                "cpu_cores": cores,
                "cpu_threads": cores * rng.choice((1, 2)),
                "cpu_overloaded_since": None,
                "spm": rng.random() < 0.2,
                "usage_cpu_percent": rng.choice((None, 5, 15, 25, 50, 79, 80, 81, 90)),
                "vm_count": 2,
            }
        )
    return {
        "vm": {
            "id": "vm",
            "vcpus": rng.choice((1, 2, 3)),
            "memory_mb": rng.choice((128, 256)),
            "usage_cpu_percent": rng.choice((10, 20, 40)),
            "cpu_pinning_policy": "none",
            "migration_mode": "automatic",
            "running_on": rng.choice((None, "host_0", "host_1", "elsewhere")),
        },
        "hosts": hosts,
        "count_threads_as_cores": rng.random() < 0.3,
        "host_cpu_topology_reported": False,
        "config": {"spm_vcpu_consumption": 1, "vcpu_consumption_percentage": rng.choice((10, 20))},
        "policy_parameters": rng.choice(
            ({}, {"high_utilization": 80, "max_free_memory_for_over_utilized_mb": 600,
                  "min_free_memory_for_under_utilized_mb": 900})
        ),
        "max_scheduler_weight": 1000,
        "vm_memory_overhead_mb": rng.choice((0, 20)),
    }  # fmt: skip


def vm_affinity(rng: Random) -> Case:
    hosts = [f"host{i}" for i in range(1, rng.randint(2, 5))]
    others = [f"vm{i}" for i in range(1, 5)]
    return {
        "scheduled_vm": "new_vm",
        "hosts": hosts,
        "other_vms": [
            {
                "id": vm,
                "running_on": rng.choice((None, *hosts)),
                "hosted_engine": rng.random() < 0.1,
                "migration_mode": rng.choice(("automatic", "automatic", "manual", "do_not_migrate")),
            }
            for vm in others
        ],
        "affinity_groups": [
            {
                "vm_rule": rng.choice(("positive", "negative", "disabled")),
                "vm_enforcing": rng.random() < 0.5,
                "priority": rng.choice((1.0, 1.5, 2.0)),
                "vms": [vm for vm in ("new_vm", *others) if rng.random() < 0.5],
            }
            for _ in range(rng.randint(0, 3))
        ],
    }


def host_affinity(rng: Random) -> Case:
    hosts = ["host_pos", "host_neg", "host_other"]
    return {
        "vm": "vm",
        "running_on": rng.choice((None, *hosts)),
        "hosts": hosts,
        "cluster_compatibility": rng.choice(("4.3", "latest")),
        "labels": [
            {"vms": ["vm"] if rng.random() < 0.7 else [], "hosts": [h for h in hosts if rng.random() < 0.5],
             "implicit_affinity_group": rng.random() < 0.7}
            for _ in range(rng.randint(0, 1))
        ],
        "affinity_groups": [
            {"host_rule": rng.choice(("positive", "negative")), "host_enforcing": rng.random() < 0.5,
             "priority": rng.choice((1.0, 1.5)), "hosts": [h for h in hosts if rng.random() < 0.5]}
            for _ in range(rng.randint(0, 3))
        ],
    }  # fmt: skip


def records(rng: Random) -> Case:
    hosts = [f"host{i}" for i in range(1, rng.randint(2, 5))]
    units = ["unit1", "unit2", "unit3", None]
    return {
        "hosts": hosts,
        "factors": {"unit1": rng.choice((1, 2, 100)), "unit2": rng.choice((1, 3))},
        "records": [
            {"unit": rng.choice(units), "host": rng.choice(hosts), "weight": rng.choice((1, 5, 10, 200, 300))}
            for _ in range(rng.randint(1, 8))
        ],
    }


MAKERS = {
    "numa_filter": numa,
    "cpu_numa_pinning_weight": pinned,
    "high_performance_cpu_weight": shapes,
    "huge_pages_filter": huge_pages,
    "cpu_filter": cpus,
    "single_numa_node_fit_weight": shapes,
    "tsc_frequency_filter": tsc,
    "memory_admission": admission,
    "even_distribution_cpu_weight": load,
    "power_saving_cpu_weight": load,
    "even_distribution_memory_weight": load,
    "power_saving_memory_weight": load,
    "vm_affinity_filter": vm_affinity,
    "vm_affinity_weight": vm_affinity,
    "host_affinity_filter": host_affinity,
    "host_affinity_weight": host_affinity,
    "rank_selector": records,
    "basic_weight_selector": records,
}
