//! Settings as an operator meets them: what each layer does and what each fault says.

use std::path::Path;

use super::*;

/// Loads `files`, each by its content, and `TIMERD_*` variables.
pub(super) fn load_texts(files: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Vec<ConfigFault>> {
    let mut values = Values::defaults();
    let mut faults = Vec::new();
    for (i, text) in files.iter().enumerate() {
        file::take_text(&mut values, Path::new(&format!("{i}.toml")), text, &mut faults);
    }
    values.take_environment(&owned(environment), &mut faults);
    finish(values, faults)
}

pub(super) fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// All faults of one file as text.
fn faults(text: &str) -> Vec<String> {
    match load_texts(&[text], &[]) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// The only fault of one file.
fn fault(text: &str) -> String {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults[0].clone()
}

fn warnings(text: &str) -> Vec<String> {
    load_texts(&[text], &[]).unwrap().warnings
}

#[test]
fn every_default_fits_its_kind_and_together_they_are_right() {
    for key in KEYS {
        let raw = match key.default {
            Default::Text(text) => Raw::Text(text.into()),
            Default::Number(n) => Raw::Number(n),
            Default::List(items) => Raw::List(items.iter().map(|i| Raw::Text((*i).into())).collect()),
        };
        assert_eq!(key.kind.read(&raw), Ok(key.default_value()), "{}", key.path);
    }
    let loaded = load(&[], &[], &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.settings.raft.heartbeat_ms, 200);
    assert_eq!(loaded.settings.cluster.shards, 4);
    assert_eq!(loaded.settings.http.advertise_url, "http://127.0.0.1:8080");
    let alone = Peer { name: "n1".into(), address: "127.0.0.1:7080".into() };
    assert_eq!(loaded.settings.cluster.peers, [alone]);
}

#[test]
fn keys_are_unique_in_sections_and_name_their_units() {
    for (i, key) in KEYS.iter().enumerate() {
        assert!(KEYS[..i].iter().all(|other| other.path != key.path), "{} twice", key.path);
        let section = key.path.split('.').next();
        let again = KEYS[..i].iter().rposition(|other| other.path.split('.').next() == section);
        assert!(again.is_none_or(|at| at + 1 == i), "{} stands apart from its section", key.path);
        let unit = ["_ms", "_bytes", "_max", "_entries", "shards"];
        let number = matches!(key.kind, Kind::Number { .. });
        assert!(!number || unit.iter().any(|unit| key.path.ends_with(unit)), "{} has no unit", key.path);
    }
}

#[test]
fn every_setting_reaches_the_settings() {
    // Each value other than the default must make other settings: else it is read from nowhere.
    let base = Settings::from_values(&Values::defaults());
    for key in KEYS {
        let other = match key.kind {
            Kind::Number { min, max } => {
                Value::Number(if key.default_value() == Value::Number(min) { max } else { min })
            }
            Kind::Address => Value::Address("127.0.0.9:99".parse().unwrap()),
            Kind::HostPort => Value::Text("other:99".into()),
            Kind::Url => Value::Text("http://other".into()),
            Kind::Choice(words) => {
                let word = words.iter().find(|w| Value::Text((**w).into()) != key.default_value());
                Value::Text((*word.unwrap()).into())
            }
            Kind::Addresses => Value::List(vec!["private".into()]),
            Kind::Files => Value::List(vec!["other.pem".into()]),
            Kind::Peers => Value::List(vec!["other=other:99".into()]),
            Kind::Text | Kind::File | Kind::Name | Kind::Filter => Value::Text("other".into()),
        };
        let mut values = Values::defaults();
        values.set(key, other, Origin::Flag("--test"));
        assert_ne!(Settings::from_values(&values), base, "{}", key.path);
    }
}

#[test]
fn later_layers_win_value_by_value() {
    let files = ["[raft]\nlinger_ms = 2\nheartbeat_ms = 100\n", "[raft]\nlinger_ms = 3\n"];
    let loaded = load_texts(&files, &[("TIMERD_HTTP__LISTEN", "[::1]:9000"), ("PATH", "/bin")]).unwrap();
    assert_eq!(loaded.settings.raft.linger_ms, 3);
    assert_eq!(loaded.settings.raft.heartbeat_ms, 100);
    assert_eq!(loaded.settings.http.listen, "[::1]:9000".parse().unwrap());
    assert_eq!(*loaded.values.get("raft.linger_ms").1, Origin::File { path: "1.toml".into(), line: 2 });
    assert_eq!(*loaded.values.get("raft.heartbeat_ms").1, Origin::File { path: "0.toml".into(), line: 3 });
    assert_eq!(loaded.values.get("http.listen").1.to_string(), "environment variable TIMERD_HTTP__LISTEN");
    assert_eq!(*loaded.values.get("raft.probe_ms").1, Origin::Default);

    let flag = |key: &str, value: &str| Override { key: key.into(), value: value.into(), flag: "--set" };
    let settings =
        Settings::load(&[], &owned(&[("TIMERD_RAFT__LINGER_MS", "5")]), &[flag("raft.linger_ms", "7")])
            .unwrap();
    assert_eq!(settings.raft.linger_ms, 7);
    let unknown = Settings::load(&[], &[], &[flag("raft.lingerms", "7")]).unwrap_err();
    assert_eq!(
        describe(&unknown),
        "error: flag --set: unknown key raft.lingerms; did you mean raft.linger_ms?\n"
    );
}

#[test]
fn a_later_list_replaces_the_earlier_whole() {
    let files = ["[delivery]\nallow = [\"loopback\", \"10.0.0.0/8\"]\n", "[delivery]\nallow = []\n"];
    assert_eq!(load_texts(&files, &[]).unwrap().settings.delivery.allow, Vec::<String>::new());
    let environment = [("TIMERD_DELIVERY__ALLOW", "loopback, fd00::/8")];
    assert_eq!(load_texts(&files, &environment).unwrap().settings.delivery.allow, ["loopback", "fd00::/8"]);
}

#[test]
fn members_can_be_written_in_three_ways() {
    let expected = ["n1=a:1", "n2=b:2", "n3=[::1]:3"].map(|text| Peer::parse(text).unwrap());
    let peer_addresses = |loaded: Result<Loaded, Vec<ConfigFault>>| loaded.unwrap().settings.cluster.peers;
    let texts = "[cluster]\npeers = [\"n1=a:1\", \"n2=b:2\", \"n3=[::1]:3\"]\n";
    let tables = "[[cluster.peers]]\nname = \"n1\"\naddress = \"a:1\"\n[[cluster.peers]]\nname = \"n2\"\naddress = \"b:2\"\n\
                  [[cluster.peers]]\nname = \"n3\"\naddress = \"[::1]:3\"\n";
    assert_eq!(peer_addresses(load_texts(&[texts], &[])), expected);
    assert_eq!(peer_addresses(load_texts(&[tables], &[])), expected);
    let variable = ("TIMERD_CLUSTER__PEERS", "n1=a:1,n2=b:2,n3=[::1]:3");
    let loaded = load_texts(&[], &[variable]);
    assert_eq!(loaded.as_ref().unwrap().settings.peer.advertise, "a:1");
    assert_eq!(peer_addresses(loaded), expected);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    assert_eq!(
        fault("[http]\n\nlisten_adress = \"x\"\nlisten = \"127.0.0.1:1\"\n"),
        "0.toml:3: unknown key http.listen_adress"
    );
    assert_eq!(
        fault("[raft]\nheartbeat = 1\n"),
        "0.toml:2: unknown key raft.heartbeat; did you mean raft.heartbeat_ms?"
    );
    assert_eq!(fault("[htpp]\nlisten = \"x\"\n"), "0.toml:1: unknown key htpp; did you mean http?");
    assert_eq!(fault("http = 1\n"), "0.toml:1: not valid TOML: http is a section: write [http]");
    let faults = load_texts(&[], &[("TIMERD_HTTP_LISTEN", "x")]).unwrap_err();
    assert_eq!(
        describe(&faults),
        "error: environment variable TIMERD_HTTP_LISTEN: unknown key TIMERD_HTTP_LISTEN; did you mean TIMERD_HTTP__LISTEN?\n"
    );
}

#[test]
fn variables_of_kubernetes_and_our_own_others_are_no_settings() {
    let foreign = [
        ("TIMERD_CONFIG", "a.toml"),
        ("TIMERD_SERVICE_HOST", "10.0.0.1"),
        ("TIMERD_SERVICE_PORT_HTTP", "8080"),
        ("TIMERD_PORT", "tcp://10.0.0.1:8080"),
        ("TIMERD_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("TIMERD_PEER_SERVICE_HOST", "10.0.0.1"),
    ];
    assert!(load_texts(&[], &foreign).is_ok());
    assert!(load_texts(&[], &[("TIMERD_PEER__LISTENN", "x")]).is_err());
}

#[test]
fn a_wrong_value_says_where_it_is_and_what_would_be_right() {
    for (text, expected) in [
        (
            "[raft]\nlinger_ms = \"2\"",
            "0.toml:2: raft.linger_ms must be a whole number from 0 to 100, but is \"2\"",
        ),
        (
            "[raft]\nlinger_ms = 101",
            "0.toml:2: raft.linger_ms must be a whole number from 0 to 100, but is 101",
        ),
        (
            "[raft]\nlinger_ms = -1",
            "0.toml:2: raft.linger_ms must be a whole number from 0 to 100, but is -1",
        ),
        (
            "[raft]\nlinger_ms = 1.5",
            "0.toml:2: raft.linger_ms must be a whole number from 0 to 100, but is the fraction 1.5",
        ),
        ("[cluster]\nshards = 0", "0.toml:2: cluster.shards must be a whole number from 1 to 256, but is 0"),
        ("[auth]\nmode = \"off\"", "0.toml:2: auth.mode must be \"tokens\" or \"none\", but is \"off\""),
        ("[auth]\nmode = false", "0.toml:2: auth.mode must be \"tokens\" or \"none\", but is false"),
    ] {
        assert_eq!(fault(text), expected);
    }
    for bad in [
        "[http]\nlisten = \"localhost:80\"",
        "[http]\nadvertise_url = \"http://a/path\"",
        "[http]\nadvertise_url = \"ftp://a\"",
        "[http]\nadvertise_url = \"http://me:secret@a\"",
        "[peer]\nadvertise = \"a\"",
        "[peer]\nadvertise = \"a:0\"",
        "[peer]\nadvertise = \"a:+1\"",
        "[node]\nname = \"N1\"",
        "[node]\nname = \"\"",
        "[node]\ndata_dir = \"\"",
        "[delivery]\nallow = [\"10.0.0.0/33\"]",
        "[delivery]\nallow = [\"10.0.0\"]",
        "[delivery]\nallow = [1]",
        "[delivery]\nallow = \"loopback\"",
        "[delivery]\nca_files = \"a.pem\"",
        "[delivery]\nca_files = [\"\"]",
        "[cluster]\npeers = [\"n1\"]",
        "[cluster]\npeers = [{ name = \"n1\", address = \"a:1\", weight = 2 }]",
        "[log]\nfilter = \"node=loudest\"",
    ] {
        let fault = fault(bad);
        assert!(fault.starts_with("0.toml:2: ") && fault.contains(" must be "), "{fault}");
    }
}

#[test]
fn what_does_not_go_together_names_both_keys_and_values() {
    for (text, parts) in [
        (
            "[raft]\nelection_min_ms = 400",
            ["raft.election_min_ms = 400 (0.toml:2)", "raft.heartbeat_ms = 200 (default)"],
        ),
        (
            "[raft]\nelection_max_ms = 600",
            ["raft.election_max_ms = 600 (0.toml:2)", "raft.election_min_ms = 600 (default)"],
        ),
        (
            "[raft]\nprobe_ms = 1999",
            ["raft.probe_ms = 1999 (0.toml:2)", "raft.election_max_ms = 1000 (default)"],
        ),
        (
            "[http]\nlisten = \"127.0.0.1:7080\"",
            ["http.listen = \"127.0.0.1:7080\" (0.toml:2)", "peer.listen = \"127.0.0.1:7080\" (default)"],
        ),
        (
            "[peer]\nlisten = \"0.0.0.0:8080\"",
            ["http.listen = \"127.0.0.1:8080\" (default)", "peer.listen = \"0.0.0.0:8080\" (0.toml:2)"],
        ),
        (
            "[http]\nlisten = \"192.0.2.1:80\"",
            ["http.listen = \"192.0.2.1:80\" (0.toml:2)", "auth.mode = \"tokens\" (default)"],
        ),
        (
            "[cluster]\npeers = [\"n2=a:1\", \"n3=a:2\", \"n4=a:3\"]",
            [
                "node.name = \"n1\" (default)",
                "cluster.peers = [\"n2=a:1\", \"n3=a:2\", \"n4=a:3\"] (0.toml:2)",
            ],
        ),
        (
            "[http]\ntls_cert_file = \"a.pem\"",
            ["http.tls_cert_file = \"a.pem\" (0.toml:2)", "http.tls_key_file = \"\" (default)"],
        ),
        (
            "[http]\ntls_key_file = \"a.key\"",
            ["http.tls_cert_file = \"\" (default)", "http.tls_key_file = \"a.key\" (0.toml:2)"],
        ),
        (
            "[delivery]\nconcurrency_max = 10",
            [
                "delivery.concurrency_per_destination_max = 128 (default)",
                "delivery.concurrency_max = 10 (0.toml:2)",
            ],
        ),
    ] {
        let fault = fault(text);
        assert!(parts.iter().all(|part| fault.contains(part)), "{fault}");
    }
}

#[test]
fn the_bounds_between_settings_are_exact() {
    for right in [
        "[raft]\nelection_min_ms = 401",
        "[raft]\nelection_max_ms = 601",
        "[raft]\nprobe_ms = 2000",
        "[http]\nlisten = \"192.0.2.1:80\"\n[auth]\nmode = \"none\"",
        "[http]\nlisten = \"127.0.0.2:7080\"",
        "[cluster]\nshards = 256",
    ] {
        assert_eq!(faults(right), Vec::<String>::new(), "{right}");
    }
}

#[test]
fn with_a_certificate_the_node_is_reached_by_https() {
    let pair = "[http]\ntls_cert_file = \"a.pem\"\ntls_key_file = \"a.key\"\n";
    let http = load_texts(&[pair], &[]).unwrap().settings.http;
    assert_eq!(http.advertise_url, "https://127.0.0.1:8080");
    let files = http.certificate_files().unwrap();
    assert_eq!((files.certificate, files.key), ("a.pem".into(), "a.key".into()));
    assert_eq!(load_texts(&[], &[]).unwrap().settings.http.certificate_files(), None);
    let environment = [("TIMERD_DELIVERY__CA_FILES", "/a.pem, /b.pem")];
    let delivery = load_texts(&[], &environment).unwrap().settings.delivery;
    assert_eq!(delivery.ca_files, [Path::new("/a.pem"), Path::new("/b.pem")]);
}

#[test]
fn members_must_differ_and_agree_with_what_is_advertised() {
    let twice = fault("[cluster]\npeers = [\"n1=a:1\", \"n1=b:1\", \"n3=c:1\"]");
    assert!(twice.contains("the name n1 stands for both a:1 and b:1"), "{twice}");
    let twice = fault("[cluster]\npeers = [\"n1=a:1\", \"n2=a:1\", \"n3=c:1\"]");
    assert!(twice.contains("n1 and n2 both have the address a:1"), "{twice}");
    let other = fault("[peer]\nadvertise = \"z:1\"\n[cluster]\npeers = [\"n1=a:1\", \"n2=b:1\", \"n3=c:1\"]");
    assert!(other.contains("peer.advertise = \"z:1\"") && other.contains("n1=a:1"), "{other}");
    let nowhere = "[http]\nlisten = \"0.0.0.0:80\"\n[auth]\nmode = \"none\"\n[cluster]\npeers = [\"n1=a:1\", \"n2=b:1\", \"n3=c:1\"]";
    assert!(fault(nowhere).contains("http.advertise_url = \"\" (default)"));
}

#[test]
fn what_is_seldom_meant_is_a_warning() {
    let even = warnings("[cluster]\npeers = [\"n1=a:1\", \"n2=b:1\"]");
    assert_eq!(
        even,
        ["cluster.peers has 2 members: an even number survives no more failures than one fewer"]
    );
    let relative = warnings("[node]\ndata_dir = \"data\"");
    assert!(relative[0].contains("node.data_dir = \"data\""), "{relative:?}");
    let short = warnings("[http]\nrequest_timeout_ms = 1999");
    assert!(short[0].contains("http.request_timeout_ms = 1999"), "{short:?}");
    let one = warnings("[delivery]\nconcurrency_max = 128");
    assert!(one[0].contains("delivery.concurrency_per_destination_max = 128"), "{one:?}");
}

#[test]
fn all_faults_come_at_once_and_none_is_made_up() {
    // The election's rule is silent: its heartbeat is not known until that fault is mended.
    let found = faults(
        "[raft]\nheartbeat_ms = \"quick\"\nelection_min_ms = 50\nprobe = 1\n[auth]\nmode = 1\n[cluster]\nshards = 999\n",
    );
    let keys = ["raft.heartbeat_ms", "raft.probe;", "auth.mode", "cluster.shards"];
    assert_eq!(found.len(), keys.len(), "{found:#?}");
    for (fault, key) in found.iter().zip(keys) {
        assert!(fault.contains(key), "{fault}");
    }
}

#[test]
fn files_that_can_not_be_read_or_parsed_are_named_with_the_line() {
    let missing = check(&["/nowhere/a.toml".into()], &[], &[], Millis(0));
    assert_eq!(missing.code, 1);
    assert!(missing.text.starts_with("error: /nowhere/a.toml: can't be read: "), "{}", missing.text);
    let broken = fault("[http]\nlisten = \n");
    assert!(broken.starts_with("0.toml:2: not valid TOML: "), "{broken}");
    let twice = fault("[raft]\nlinger_ms = 1\nlinger_ms = 2\n");
    assert!(twice.starts_with("0.toml:3: not valid TOML: duplicate key"), "{twice}");
}
