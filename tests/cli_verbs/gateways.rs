//! Gateways: they come, get tokens and a configuration, and go.

use super::{Desk, text};

/// Registering one in production.
fn add<'a>(name: &'a str, profile: &'a str) -> [&'a str; 14] {
    [
        "gateway",
        "add",
        name,
        "--profile",
        profile,
        "--env",
        "production",
        "--cache",
        "5s",
        "--audience",
        "orders",
        "--route",
        "GET:/orders=orders:read",
        "--show",
    ]
}

pub fn gateways(desk: &mut Desk) {
    let admin = desk.admin.clone();
    let minted = desk.minting_change(&admin, &add("edge-fra-1", "nginx"));
    let first = text(&minted["token"]);
    assert!(first.starts_with("cs_gwy_"));
    for profile in ["envoy", "haproxy"] {
        let name = format!("edge-{profile}");
        desk.minting(&admin, &add(&name, profile));
    }
    let rows = desk.json(&["gateway", "list", "--filter", "kind:nginx"]);
    let row = &rows[0];
    assert_eq!(
        (&row["name"], &row["bound_s"]),
        (&"edge-fra-1".into(), &6.into())
    );
    assert_eq!(row["seen_at"], serde_json::Value::Null);

    let second = desk.minting_change(&admin, &["gateway", "token", "edge-fra-1", "--show"]);
    let shown = desk.json(&["gateway", "show", "edge-fra-1"]);
    assert_eq!(shown["tokens"].as_array().unwrap().len(), 2);
    let second = text(&second["id"]);
    let revoke = ["gateway", "revoke-token", "edge-fra-1", &second, "--yes"];
    desk.change(&admin, &revoke, 0);

    let file = desk.home.path().join("edge.token");
    std::fs::write(&file, format!("{first}\n")).unwrap();
    for (name, words) in [
        ("edge-fra-1", "proxy_cache_valid 200 5s"),
        ("edge-envoy", "path_prefix: /authz/edge-envoy"),
        ("edge-haproxy", "lua-load authz.lua"),
    ] {
        let config = [
            "gateway",
            "config",
            name,
            "--gateway-token",
            file.to_str().unwrap(),
        ];
        let printed = desk.run(&admin, &config).expect(0).out;
        assert!(
            printed.contains(words) && printed.contains(&first),
            "{printed}"
        );
    }
    let lua = desk.run(&admin, &["gateway", "config", "edge-haproxy", "--lua"]);
    assert!(lua.expect(0).out.contains("core.register_action"));

    let unknown = desk
        .run(&admin, &["gateway", "show", "nothing"])
        .expect(1)
        .err;
    assert!(unknown.contains("no gateway \"nothing\""), "{unknown}");
    let remove = [
        "gateway",
        "remove",
        "edge-haproxy",
        "--reason",
        "retired",
        "--yes",
    ];
    assert_eq!(desk.change(&admin, &remove, 0)["state"], "removed");
    let shown = desk
        .run(&admin, &["gateway", "show", "edge-fra-1"])
        .expect(0)
        .out;
    assert!(shown.contains("within 6 s"), "{shown}");
}
