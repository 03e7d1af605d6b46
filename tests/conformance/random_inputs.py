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


def assignments(rng: Random) -> Case:
    vms = []
    for name in ("vm", "vm2")[: rng.choice((1, 1, 2))]:
        vm = pinned(rng)["vm"]
        vms.append(
            {
                "id": name,
                "cpu_pinning": vm["cpu_pinning"],
                "cpu_pinning_policy": vm["cpu_pinning_policy"],
                "vnuma_nodes": vm["vnuma_nodes"],
            }
        )
    return {"vms": vms, "host_numa_nodes": _distinct_nodes(rng), "consider_cpu_pinning": rng.random() < 0.5}


def online(rng: Random) -> Case:
    pinning = rng.choice((None, "0#0", "1#0_2#4", "1#6", "0#1-3,^2", "0#0-7"))
    return {
        "vm": {"id": "vm", "cpu_pinning": pinning, "cpu_pinning_policy": "manual" if pinning else "none"},
        "hosts": [
            {"id": f"host{i}", "online_cpus": rng.choice((None, [], [0], [0, 1, 2, 3, 5], list(range(8))))}
            for i in range(3)
        ],
        "host_cpu_topology_reported": False,
        "pending": [],
    }


SYSTEMS = (
    None, "", "7.3", "RHEL - 5.0 - 1.el5", "RHEL - 6.0 - 1.el6", "RHEL - 6.1 - 1.el6", "RHEL - 7.2 - 1.el7",
    "Fedora - 23 - 1.f23", "RHEL - 10.0 - 1.el10", "RHEL - - 1.fc23",
)  # fmt: skip


def upgrade(rng: Random) -> Case:
    return {
        "vm_running": rng.random() < 0.8,
        "source_host_os": rng.choice(SYSTEMS),
        "hosts": [{"id": f"host{i}", "os": rng.choice(SYSTEMS)} for i in range(rng.randint(1, 4))],
    }


def running_upgrade(rng: Random) -> Case:
    return upgrade(rng) | {"vm_running": True, "source_host_os": rng.choice(("RHEL - 6.1 - 1.el6", "RHEL - 9.4 - 2"))}


def mediated(rng: Random) -> Case:
    kinds = ("a", "aa", "aaa", "b")
    return {
        "requested_mdev_types": [kind for kind in kinds if rng.random() < 0.4],
        "no_display": False,
        "hosts": [
            {
                "id": f"host{i}",
                "devices": [
                    {kind: rng.choice((0, 1, 10)) for kind in kinds if rng.random() < 0.7}
                    for _ in range(rng.randint(0, 2))
                ],
            }
            for i in range(3)
        ],
    }


def preferred(rng: Random) -> Case:
    hosts = ["host1", "host2", "host3"]
    chosen = [host for host in (*hosts, "gone") if rng.random() < 0.4]
    return {
        "vm": {"id": "vm", "status": "down", "dedicated_hosts": chosen},
        "hosts": [{"id": host} for host in hosts],
    }


def resized(rng: Random) -> Case:
    sockets, cores, threads = rng.choice((1, 2, 4)), rng.choice((2, 3, 8)), rng.choice((1, 2))
    half = sockets * cores
    nodes = [
        {
            "index": i,
            "free_memory_mb": 1500,
            "total_memory_mb": 2000,
            "huge_pages": [],
            "cpus": [c + t * half for t in range(threads) for c in range(i * cores, (i + 1) * cores)],
        }
        for i in range(sockets)
    ]
    return {
        "vm": {
            "current_sockets": sockets,
            "current_cores_per_socket": rng.choice((1, cores - 1, cores)),
            "current_threads_per_core": threads,
        },
        "host": {"cpu_sockets": sockets, "cpu_cores": half, "cpu_threads": half * threads, "numa_nodes": nodes},
    }


def split(rng: Random) -> Case:
    threads = rng.choice((1, 2))
    count = rng.choice((1, 2, 3, 4))
    return {
        "node_count": count,
        "memory_mb": rng.choice((1024, 2048, 3072, 4096)),
        "huge_page_size_kib": rng.choice((None, 2048, 1_048_576)),
        "vcpus": threads * count * rng.randint(1, 6),
        "threads_per_core": threads,
        "exclusive_pinning": rng.random() < 0.3,
        "tune_mode": "strict",
    }


def demand(rng: Random) -> Case:
    policies = ("none", "manual", "dedicated", "isolate_threads", "resize_and_pin_numa")

    def vm() -> Case:
        return {
            "cpu_pinning_policy": rng.choice(policies),
            "vcpu_sockets": rng.choice((1, 2)),
            "cores_per_socket": rng.choice((1, 2)),
            "threads_per_core": rng.choice((1, 2)),
        }

    return {"vm1": vm(), "vm2": vm(), "operation": "compare"}


def texts(rng: Random) -> Case:
    items = ("0", "1-3", "0-7,^3", "2,4,6", "5-3", "1-7,^3,^5", "0,2-4,^2")
    chosen = rng.sample(range(6), rng.randint(1, 3))
    return {"cpu_pinning": "_".join(f"{vcpu}#{rng.choice(items)}" for vcpu in sorted(chosen))}


def allocation(rng: Random) -> Case:
    sockets, cores, threads = rng.choice((1, 2, 3)), rng.choice((1, 2, 4)), rng.choice((1, 2))
    units: list[Case] = []
    for socket in range(sockets):
        for core in range(cores):
            for _ in range(threads):
                taken = rng.random() < 0.15
                units.append(
                    {"numa": socket, "socket": socket, "core": core, "cpu": len(units),
                     "pinned_policy": rng.choice(("manual", "dedicated")) if taken else "none",
                     "pinned_vms": ["other"] if taken else []}
                )  # fmt: skip
    return {
        "vm": {
            "id": "vm",
            "vcpu_sockets": rng.choice((1, 1, 2, 3)),
            "cores_per_socket": rng.choice((1, 2, 3)),
            "threads_per_core": rng.choice((1, 1, 2)),
            "cpu_pinning_policy": rng.choice(("dedicated", "isolate_threads")),
            "vnuma_nodes": [],
        },
        "host_cpu_topology": units,
        "pending_cpu_pinnings": [],
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
    "find_numa_assignment": assignments,
    "cpu_pinning_filter": online,
    "in_cluster_upgrade_filter": upgrade,
    "in_cluster_upgrade_weight": running_upgrade,
    "mediated_device_filter": mediated,
    "preferred_hosts_weight": preferred,
    "resize_and_pin_cpu_string": resized,
    "vnuma_resource_split": split,
    "pinning_demand_order": demand,
    "cpu_pinning_parse": texts,
    "exclusive_cpu_allocation": allocation,
}
