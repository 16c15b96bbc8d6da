//! What is shown and published of the settings: `config show`, the examples in `config/`, and the documentation.

use std::path::{Path, PathBuf};

use super::reference::reference;
use super::tests::{load_texts, owned};
use super::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn what_show_prints_loads_again_as_the_same_settings() {
    let file = "[node]\nname = \"a\"\ndata_dir = 'C:\\odd \"dir\" # no comment'\n[cluster]\npeers = [\"a=h:1\", \"b=h:2\", \"c=h:3\"]";
    let loaded = load_texts(&[file], &[("TIMERD_RAFT__LINGER_MS", "2")]).unwrap();
    let shown = show::toml(&loaded.values);
    assert!(shown.contains("linger_ms = 2 # environment variable TIMERD_RAFT__LINGER_MS\n"), "{shown}");
    assert!(
        shown.contains("name = \"a\" # 0.toml:2\n") && shown.contains("probe_ms = 2000 # default\n"),
        "{shown}"
    );
    assert_eq!(load_texts(&[&shown], &[]).unwrap().settings, loaded.settings);
}

#[test]
fn a_secret_is_never_shown_in_a_value_or_a_fault() {
    static SECRET: Key = Key {
        path: "log.filter",
        kind: Kind::Choice(&["right"]),
        default: Default::Text("right"),
        about: "A key for this test.",
        secret: true,
    };
    assert_eq!(show::value(&SECRET, &Value::Text("hunter2".into())), "\"[redacted]\"");
    let mut faults = Vec::new();
    Values::defaults().take(&SECRET, &Raw::Text("hunter2".into()), Origin::Default, &mut faults);
    let text = describe(&faults);
    assert!(text.contains("log.filter") && !text.contains("hunter2"), "{text}");
}

#[test]
fn the_examples_pass_their_check() {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(repository().join("config")).unwrap() {
        let path = entry.unwrap().path();
        let output = check(std::slice::from_ref(&path), &[], &[], Millis(0));
        assert_eq!(output.code, 0, "{}: {}", path.display(), output.text);
        seen.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in ["development", "testing", "staging", "production", "cluster-n1", "cluster-n2", "cluster-n3"]
    {
        assert!(seen.contains(&format!("{name}.toml")), "{name}");
    }
}

#[test]
fn the_example_clusters_are_clusters() {
    let config = repository().join("config");
    let nodes: Vec<Settings> = (1..=3)
        .map(|i| Settings::load(&[config.join(format!("cluster-n{i}.toml"))], &[], &[]).unwrap())
        .collect();
    for (node, peer) in nodes.iter().zip(&nodes[0].cluster.peers) {
        assert_eq!((&node.cluster, &node.raft), (&nodes[0].cluster, &nodes[0].raft));
        assert_eq!((&node.node.name, node.peer.listen.to_string()), (&peer.name, peer.address.clone()));
    }
    for file in ["staging.toml", "production.toml"] {
        for name in ["n2", "n3"] {
            let url = format!("http://{name}:8080");
            let environment = owned(&[("TIMERD_NODE__NAME", name), ("TIMERD_HTTP__ADVERTISE_URL", &url)]);
            let settings = Settings::load(&[config.join(file)], &environment, &[]).unwrap();
            assert!(settings.peer.advertise.starts_with(name), "{}", settings.peer.advertise);
        }
    }
}

#[test]
fn development_needs_no_file() {
    let settings = Settings::dev("127.0.0.1:9999".parse().unwrap(), "/tmp/x".into());
    assert_eq!(settings.http.advertise_url, "http://127.0.0.1:9999");
    assert_eq!(settings.cluster.peers.len(), 1);
    assert_eq!(settings.cluster.peers[0].name, settings.node.name);
    assert_eq!(settings.delivery.allow, ["loopback", "private"]);
    assert_eq!(settings.auth.mode, AuthMode::None);
}

#[test]
fn the_documentation_is_the_table() {
    let path = repository().join("docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, reference(), "run UPDATE_DOCS=1 cargo test -p node config, and read the difference");
    for key in KEYS {
        assert!(
            key.about.ends_with('.') && !key.about.contains("  ") && !key.about.contains('|'),
            "{}",
            key.path
        );
    }
}
