//! `timerctl` as a user runs it, against a server that answers by script: what it sends, prints and exits with.
#![allow(clippy::unwrap_used)]

#[path = "../../sdks/rust/tests/support/mod.rs"]
mod support;

use std::process::Stdio;

use serde_json::json;
use support::{FakeServer, Step, dead_url, problem, timer};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// What a run came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// The program with none of the environment's own settings.
fn timerctl(endpoint: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timerctl"));
    for name in
        ["TIMERCTL_TOKEN", "TIMERCTL_CA_FILE", "TIMERCTL_OUTPUT", "TIMERCTL_TIMEOUT", "TIMERCTL_GROUP"]
    {
        command.env_remove(name);
    }
    command.env("TIMERCTL_ENDPOINT", endpoint).args(args).kill_on_drop(true);
    command
}

async fn run(endpoint: &str, args: &[&str]) -> Ran {
    run_with_input(endpoint, args, "").await
}

async fn run_with_input(endpoint: &str, args: &[&str], input: &str) -> Ran {
    let mut command = timerctl(endpoint, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read its input may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = tokio::time::timeout(support::TEST_MAX, child.wait_with_output()).await.unwrap().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn create_sends_every_option_to_its_field() {
    let server = FakeServer::start([timer(201, &json!({}))]).await;
    let args = [
        "create",
        "a/b",
        "--in",
        "1h30m",
        "--url",
        "http://h/",
        "--payload",
        r#"{"x": 1.0}"#,
        "--header",
        "Authorization: Bearer x",
        "--label",
        "team=a=b",
        "--method",
        "put",
        "--callback-timeout",
        "10s",
        "--body",
        "payload",
        "--max-attempts",
        "3",
        "--max-duration",
        "1h",
        "--initial-interval",
        "2s",
        "--backoff-multiplier",
        "1.5",
        "--max-interval",
        "1m",
        "--jitter",
        "0.5",
        "--dead-on",
        "400,410",
        "--skip-if-late",
        "5m",
        "--if-none-match",
        "--idempotency-key",
        "k1",
        "--group",
        "g",
    ];
    let ran = run(&server.url, &args).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let seen = server.only();
    assert_eq!(format!("{} {}", seen.method, seen.target), "POST /api/v1/groups/g/timers");
    assert_eq!(seen.header("idempotency-key"), Some("k1"));
    assert_eq!(seen.header("if-none-match"), Some("*"));
    let expected = json!({
        "id": "a/b", "delay": "1h30m", "callbackUrl": "http://h/", "callbackMethod": "PUT",
        "callbackHeaders": {"Authorization": "Bearer x"}, "callbackTimeout": "10s", "callbackBody": "payload",
        "payload": {"x": 1.0}, "latePolicy": "skip", "graceWindow": "5m", "labels": {"team": "a=b"},
        "retryPolicy": {
            "maxAttempts": 3, "maxDuration": "1h", "initialInterval": "2s", "backoffMultiplier": 1.5,
            "maxInterval": "1m", "jitter": 0.5, "deadOn": [400, 410],
        },
    });
    assert_eq!(seen.json(), expected);
    assert!(String::from_utf8_lossy(&seen.body).contains(r#"{"x": 1.0}"#), "the payload's exact bytes");
}

#[tokio::test]
async fn create_prints_the_timer_for_people_or_the_servers_own_json() {
    let server = FakeServer::start(vec![timer(201, &json!({})); 2]).await;
    let args = ["create", "hello", "--at", "2031-01-01T00:00:00Z", "--url", "http://127.0.0.1:9000/"];
    let human = run(&server.url, &args).await;
    let mut lines = human.out.lines();
    assert_eq!(lines.next(), Some("timer       default/hello"));
    assert_eq!(lines.next(), Some("done        created"));
    assert_eq!(lines.next(), Some("state       scheduled"));
    assert!(lines.next().unwrap().starts_with("execute at  2031-01-01T00:00:00.000Z ("));

    let json = run(&server.url, &[args.as_slice(), &["--output", "json"]].concat()).await;
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&value["id"], &value["aFieldOfTomorrow"]), (&json!("hello"), &json!([1])));
    assert_eq!(json.out.lines().count(), 1);
}

#[tokio::test]
async fn create_replaces_only_when_asked_to() {
    let server = FakeServer::start([timer(200, &json!({}))]).await;
    let args = [
        "create",
        "a/b",
        "--replace",
        "--at",
        "2031-01-01T00:00:00Z",
        "--url",
        "http://h/",
        "--if-match",
        "7",
    ];
    assert_eq!(run(&server.url, &args).await.code, 0);
    let seen = server.only();
    assert_eq!(format!("{} {}", seen.method, seen.target), "PUT /api/v1/groups/default/timers/a%2Fb");
    assert_eq!(seen.header("if-match"), Some("\"7\""));
}

#[tokio::test]
async fn a_payload_comes_from_a_file_from_the_input_or_as_bytes() {
    let server = FakeServer::start(vec![timer(201, &json!({})); 3]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[1,\n2]").unwrap();
    let at_file = format!("@{}", file.path().display());
    let base = ["create", "--in", "1s", "--url", "http://h/", "--payload"];
    assert_eq!(run(&server.url, &[base.as_slice(), &[&at_file]].concat()).await.code, 0);
    assert_eq!(run_with_input(&server.url, &[base.as_slice(), &["-"]].concat(), "\"in\"").await.code, 0);
    let bytes = [base.as_slice(), &["hello", "--content-type", "text/plain"]].concat();
    assert_eq!(run(&server.url, &bytes).await.code, 0);
    let seen = server.seen();
    assert_eq!(seen[0].json()["payload"], json!([1, 2]));
    assert_eq!(seen[1].json()["payload"], json!("in"));
    assert_eq!(
        (&seen[2].json()["payloadBase64"], &seen[2].json()["contentType"]),
        (&json!("aGVsbG8="), &json!("text/plain"))
    );
    assert!(seen.iter().all(|seen| seen.json().get("id").is_none()));

    let bad = run(&server.url, &[base.as_slice(), &["hello"]].concat()).await;
    assert_eq!(bad.code, 6);
    assert!(bad.err.contains("the payload is not JSON") && bad.err.contains("--content-type"), "{}", bad.err);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn update_sends_only_what_changes() {
    let server = FakeServer::start([timer(200, &json!({}))]).await;
    let args = [
        "update",
        "hello",
        "--in",
        "1h",
        "--label",
        "a=b",
        "--remove-label",
        "c",
        "--remove-header",
        "x-y",
        "--remove-payload",
        "--max-attempts",
        "2",
        "--refuse-in-flight",
        "--if-generation",
        "9",
    ];
    assert_eq!(run(&server.url, &args).await.code, 0);
    let seen = server.only();
    assert_eq!(
        format!("{} {}", seen.method, seen.target),
        "PATCH /api/v1/groups/default/timers/hello?ifGeneration=9&ifInFlight=refuse"
    );
    let expected = json!({
        "delay": "1h", "callbackHeaders": {"x-y": null}, "payload": null, "retryPolicy": {"maxAttempts": 2},
        "labels": {"a": "b", "c": null},
    });
    assert_eq!(seen.json(), expected);
    assert_eq!(run(&server.url, &["update", "hello"]).await.code, 2, "nothing to change");
}

#[tokio::test]
async fn the_other_commands_have_their_method_and_path() {
    let server = FakeServer::start(vec![timer(200, &json!({})); 5]).await;
    for args in [
        vec!["get", "hello", "--reveal"],
        vec!["delete", "hello"],
        vec!["delete", "hello", "--purge"],
        vec!["fire", "hello"],
        vec!["redrive", "hello"],
    ] {
        assert_eq!(run(&server.url, &args).await.code, 0, "{args:?}");
    }
    let lines: Vec<_> = server.seen().iter().map(|s| format!("{} {}", s.method, s.target)).collect();
    let base = "/api/v1/groups/default/timers/hello";
    let expected = [
        format!("GET {base}?reveal=true"),
        format!("DELETE {base}"),
        format!("DELETE {base}?purge=true"),
        format!("POST {base}/fire"),
        format!("POST {base}/redrive"),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn each_refusal_has_its_exit_code_and_says_what_to_do() {
    for (status, code, exit, says) in [
        (404, "TIMER_NOT_FOUND", 3, "--group"),
        (409, "TIMER_FINISHED", 4, "redrive"),
        (412, "VERSION_MISMATCH", 4, "read it again"),
        (422, "OUT_OF_RANGE", 6, "what is wrong"),
        (500, "INTERNAL", 1, "outcome: unknown"),
        (404, "ROUTE_NOT_FOUND", 1, "--endpoint"),
    ] {
        let server = FakeServer::start([problem(status, code, None, &json!({}))]).await;
        let ran = run(&server.url, &["fire", "a"]).await;
        assert_eq!(ran.code, exit, "{code}");
        assert!(ran.err.contains(says) && ran.err.contains("request id: r1"), "{code}: {}", ran.err);
        assert_eq!(ran.out, "");
    }
}

#[tokio::test]
async fn wrong_arguments_exit_with_2_and_send_nothing() {
    let server = FakeServer::start([]).await;
    for args in [
        vec!["create", "a", "--url", "http://h/"],
        vec!["create", "a", "--in", "5s"],
        vec!["create", "--replace", "--in", "5s", "--url", "http://h/"],
        vec!["create", "a", "--in", "5s", "--url", "http://h/", "--label", "x=1", "--label", "x=2"],
        vec!["create", "a", "--in", "5s", "--url", "http://h/", "--header", "novalue"],
        vec!["get"],
        vec!["get", "a", "--timeout", "5"],
        vec!["get", "a", "--endpoint", "nonsense"],
        vec!["frobnicate"],
    ] {
        let ran = run(&server.url, &args).await;
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn no_node_exits_with_5_and_says_how_to_start_one() {
    let ran = run(&dead_url().await, &["get", "a", "--timeout", "300ms"]).await;
    assert_eq!(ran.code, 5);
    assert!(ran.err.contains("refused") && ran.err.contains("timerd dev"), "{}", ran.err);
    assert!(ran.err.contains("outcome: nothing changed"), "{}", ran.err);
}

#[tokio::test]
async fn an_unknown_outcome_comes_with_the_key_to_repeat_with() {
    let server = FakeServer::start([Step::Silence]).await;
    let ran = run(&server.url, &["fire", "a", "--timeout", "200ms"]).await;
    assert_eq!(ran.code, 5);
    let key = server.only().header("idempotency-key").unwrap().to_owned();
    assert!(ran.err.contains("outcome: unknown"), "{}", ran.err);
    assert!(ran.err.contains(&format!("--idempotency-key {key}")), "{}", ran.err);

    let json = run(&server.url, &["fire", "a", "--timeout", "200ms", "--output", "json"]).await;
    let error: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(error["error"]["status"], json!(null));
    assert_eq!(error["error"]["exitCode"], json!(1), "the script is over: 599 without a problem");
}

#[tokio::test]
async fn the_next_endpoint_is_tried_when_one_is_dead() {
    let server = FakeServer::start([timer(200, &json!({}))]).await;
    let both = format!("{},{}", dead_url().await, server.url);
    assert_eq!(run(&both, &["get", "hello"]).await.code, 0);
    server.only();
}

fn info(cluster_id: &str, server_time: &str) -> Step {
    let body = json!({
        "name": "durable-timer", "version": "0.1.0", "apiVersion": "v1", "serverTime": server_time,
        "clusterId": cluster_id, "clusterName": "dev", "nodeId": 1, "nodeName": "n1", "limits": {},
    });
    Step::Answer(200, vec![("content-type", "application/json".into())], body.to_string())
}

#[tokio::test]
async fn config_check_judges_each_endpoint_by_itself() {
    let good = FakeServer::start([info("c1", "2001-01-01T00:00:00.000Z")]).await;
    let other = FakeServer::start([info("c2", "2001-01-01T00:00:00.000Z")]).await;
    let all = [good.url.clone(), dead_url().await, other.url.clone()].join(",");
    let ran = run(&all, &["config", "check", "--output", "json"]).await;
    assert_eq!(ran.code, 1, "the first fault decides");
    let checks: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let faults = |n: usize| checks[n]["faults"].to_string();
    assert!(faults(0).contains("clock differs"), "{checks:#}");
    assert!(faults(1).contains("refused"), "{checks:#}");
    assert!(faults(2).contains("another cluster (c2)"), "{checks:#}");
    assert_eq!((&checks[0]["node"], &checks[1]["node"]), (&json!("n1"), &json!(null)));
}

#[tokio::test]
async fn the_cluster_is_shown_with_its_nodes() {
    let view = json!({
        "clusterId": "c1", "clusterName": "dev", "nodeId": 1, "nodeName": "n1", "healthy": true,
        "shardsWithoutQuorum": [],
        "nodes": [{"id": 1, "name": "n1", "peerAddress": "h:1", "httpUrl": "http://h:2", "version": "0.1.0",
                   "reachable": true, "clockOffsetMs": null}],
        "shards": [{"shard": 0, "leader": 1, "term": 1, "voters": [1], "appliedIndex": 3, "healthy": true}],
    });
    let server = FakeServer::start([Step::Answer(200, vec![], view.to_string())]).await;
    let ran = run(&server.url, &["cluster", "status"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("cluster    dev (c1)\nseen from  n1\nhealthy    yes\n"), "{}", ran.out);
}

fn results(all: &serde_json::Value) -> Step {
    Step::Answer(
        200,
        vec![("content-type", "application/json".into())],
        json!({ "results": all }).to_string(),
    )
}

#[tokio::test]
async fn a_batch_is_sent_in_parts_and_what_fails_is_told_with_its_line() {
    let done = json!({"status": 200, "timer": support::timer_json(&json!({}))});
    let missing = json!({"status": 404,
        "problem": {"status": 404, "code": "TIMER_NOT_FOUND", "detail": "the group has no timer of this id"}});
    let script = [results(&json!([done, missing])), results(&json!([done]))];
    let lines =
        "{\"op\":\"get\",\"id\":\"a\"}\n\n{\"op\":\"get\", \"id\":\"b\"}\n{\"op\":\"get\",\"id\":\"c\"}";
    let args = ["batch", "-", "--at-once", "2", "--idempotency-key", "k"];

    let server = FakeServer::start(script.clone()).await;
    let ran = run_with_input(&server.url, &args, lines).await;
    let expected = "\
line 3: TIMER_NOT_FOUND (404): the group has no timer of this id
3 operations: 2 succeeded, 1 failed
";
    assert_eq!((ran.code, ran.out.as_str()), (1, expected), "{}", ran.err);
    let seen = server.seen();
    assert_eq!(seen[0].json()["operations"], json!([{"op": "get", "id": "a"}, {"op": "get", "id": "b"}]));
    assert_eq!(seen[1].json()["operations"], json!([{"op": "get", "id": "c"}]));
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys, ["k/0", "k/1"]);

    let server = FakeServer::start(script).await;
    let ran = run_with_input(&server.url, &[&args[..], &["--output", "json"]].concat(), lines).await;
    let lines: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["line"], &lines[1]["status"]), (3, &json!(3), &json!(404)));
    assert_eq!(lines[2]["timer"]["id"], "hello");
}

#[tokio::test]
async fn what_no_leader_could_do_is_sent_again_as_it_was() {
    let open =
        json!({"status": 503, "retryAfter": 1, "problem": {"status": 503, "code": "SHARD_UNAVAILABLE"}});
    let done = json!({"status": 201, "replayed": true, "timer": support::timer_json(&json!({}))});
    let server = FakeServer::start([results(&json!([open])), results(&json!([done]))]).await;
    let ran = run_with_input(&server.url, &["batch", "-"], "{\"op\":\"get\",\"id\":\"a\"}\n").await;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "1 operations: 1 succeeded (1 had been done before), 0 failed\n")
    );
    let seen = server.seen();
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"));
}

#[tokio::test]
async fn a_line_that_is_not_json_ends_a_batch_before_its_request_is_sent() {
    let server = FakeServer::start([]).await;
    let ran = run_with_input(&server.url, &["batch", "-"], "{\"op\":\"get\",\"id\":\"a\"}\nx\n").await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("line 2: ") && ran.err.contains("--idempotency-key"), "{}", ran.err);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn attempts_are_shown_newest_first_and_scripts_get_the_servers_own_json() {
    let attempt = |number: u32, more: serde_json::Value| {
        let mut attempt = json!({
            "generation": 4096, "number": number, "trigger": "schedule", "counted": true,
            "scheduledAt": "2031-01-01T00:00:00.000Z", "startedAt": "2031-01-01T00:00:00.001Z",
            "duration": "1.5s", "aFieldOfTomorrow": [1],
        });
        for (name, value) in more.as_object().unwrap() {
            attempt[name] = value.clone();
        }
        attempt
    };
    let error = json!({"kind": "TIMED_OUT", "message": "no connection within 1500 ms"});
    let body = json!({"attempts": [
        attempt(2, json!({"outcome": "delivered", "statusCode": 200, "answer": "thanks", "answerTruncated": false})),
        attempt(1, json!({"outcome": "failed", "error": error})),
    ]})
    .to_string();
    let step = || Step::Answer(200, vec![("content-type", "application/json".into())], body.clone());
    let server = FakeServer::start([step(), step()]).await;
    let ran = run(&server.url, &["attempts", "a/b"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("GENERATION  ATTEMPT  STARTED AT"), "{}", ran.out);
    assert!(
        lines[1].starts_with("4096        2 ") && lines[1].ends_with("delivered 200     thanks"),
        "{}",
        ran.out
    );
    assert!(lines[2].ends_with("failed TIMED_OUT  no connection within 1500 ms"), "{}", ran.out);
    assert_eq!((lines.len(), &server.only().target[..]), (3, "/api/v1/groups/default/timers/a%2Fb/attempts"));
    let ran = run(&server.url, &["attempts", "a/b", "--output", "json"]).await;
    assert_eq!(ran.out, format!("{body}\n"));
}

#[tokio::test]
async fn the_attempts_of_no_timer_are_not_found() {
    let server = FakeServer::start([problem(404, "TIMER_NOT_FOUND", None, &json!({}))]).await;
    assert_eq!(run(&server.url, &["attempts", "a"]).await.code, 3);
}

/// A page of so many timers, as the server writes it.
fn page(ids: &[&str], next: Option<&str>) -> Step {
    let timers: Vec<_> = ids
        .iter()
        .map(|id| {
            json!({
                "group": "default", "id": id, "shard": 0, "generation": 1, "version": 1, "state": "scheduled",
                "executeAt": "2031-01-01T00:00:00.000Z", "createdAt": "2026-01-01T00:00:00.000Z",
                "updatedAt": "2026-01-01T00:00:00.000Z", "callbackUrl": "http://h/", "callbackMethod": "POST",
                "callbackTimeout": "30s", "callbackBody": "envelope", "latePolicy": "fire",
                "retryPolicy": {
                    "maxAttempts": 10, "maxDuration": "1d", "initialInterval": "1s", "backoffMultiplier": 2.0,
                    "maxInterval": "1h", "jitter": 0.2, "deadOn": "4xx",
                },
            })
        })
        .collect();
    let body = json!({"timers": timers, "nextCursor": next}).to_string();
    Step::Answer(200, vec![("content-type", "application/json".into())], body)
}

#[tokio::test]
async fn list_shows_a_line_for_each_timer_and_says_that_there_are_more() {
    let server = FakeServer::start([page(&["a", "b"], Some("c1"))]).await;
    let args = ["list", "--state", "scheduled,dead", "--limit", "2", "--after", "2030-01-01T00:00:00Z"];
    let ran = run(&server.url, &args).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("ID  STATE      EXECUTE AT"), "{}", ran.out);
    assert!(lines[1].starts_with("a   scheduled  2031-01-01T00:00:00.000Z (in "), "{}", ran.out);
    assert_eq!((lines.len(), ran.err.as_str()), (3, "there are more: --all, or --cursor c1\n"));
    let query = "state=scheduled%2Cdead&executeAfter=2030-01-01T00%3A00%3A00Z&limit=2";
    assert_eq!(server.only().target, format!("/api/v1/groups/default/timers?{query}"));
}

#[tokio::test]
async fn list_all_goes_on_to_the_end_and_gives_scripts_the_pages() {
    let server = FakeServer::start([page(&["a"], Some("c1")), page(&["b"], None)]).await;
    let ran = run(&server.url, &["list", "--all", "--output", "json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let pages: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&pages[0]["timers"][0]["id"], &pages[1]["timers"][0]["id"]), (&json!("a"), &json!("b")));
    assert!(server.seen()[1].target.ends_with("?limit=1000&cursor=c1"), "{:?}", server.seen()[1].target);
}

#[tokio::test]
async fn an_empty_list_says_so() {
    let server = FakeServer::start([page(&[], None)]).await;
    assert_eq!(run(&server.url, &["list"]).await.out, "no timers\n");
}

#[tokio::test]
async fn groups_have_their_methods_and_paths_and_only_what_is_named_is_sent() {
    let group = json!({
        "name": "orders", "generation": 8192, "version": 8192, "shards": 4, "retention": "7d", "deadRetention": "30d",
        "retainPayload": false, "maxHorizon": "30d", "maxPending": 5, "createdAt": "2026-12-01T09:00:00.000Z",
        "updatedAt": "2026-12-01T09:00:00.000Z",
    });
    let answer = |status, body: String| Step::Answer(status, vec![], body);
    let page = json!({ "groups": [group], "nextCursor": null });
    let server = FakeServer::start(vec![
        answer(201, group.to_string()),
        answer(200, group.to_string()),
        answer(200, group.to_string()),
        answer(200, page.to_string()),
        answer(204, String::new()),
    ])
    .await;
    let mut shown = Vec::new();
    for args in [
        vec!["group", "create", "orders", "--shards", "4", "--retention", "7d", "--max-pending", "5"],
        vec!["group", "update", "orders", "--no-max-pending", "--max-horizon", "30d"],
        vec!["group", "get", "orders"],
        vec!["group", "list"],
        vec!["group", "delete", "orders"],
    ] {
        let ran = run(&server.url, &args).await;
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        shown.push(ran.out);
    }
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|s| format!("{} {}", s.method, s.target)).collect();
    let path = "/api/v1/groups/orders";
    let expected = [
        format!("PUT {path}"),
        format!("PATCH {path}"),
        format!("GET {path}"),
        "GET /api/v1/groups?limit=1000".to_owned(),
        format!("DELETE {path}"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(seen[0].json(), json!({ "shards": 4, "retention": "7d", "maxPending": 5 }));
    assert_eq!(seen[1].json(), json!({ "maxHorizon": "30d", "maxPending": null }));
    assert!(
        shown[0].starts_with("created group orders\n") && shown[0].contains("max pending     5"),
        "{}",
        shown[0]
    );
    assert!(shown[3].contains("orders") && shown[3].lines().count() == 2, "{}", shown[3]);
    assert_eq!(shown[4], "deleted group orders\n");
}

#[tokio::test]
async fn a_private_authority_is_named_by_a_file() {
    let authority = support::certificates::Authority::new();
    let certificate = authority.issue(&["127.0.0.1"]);
    let server = FakeServer::start_tls(&certificate, [timer(200, &json!({})), timer(200, &json!({}))]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &authority.pem).unwrap();
    let path = file.to_str().unwrap();
    let named = run(&server.url, &["get", "hello", "--ca-file", path]).await;
    assert_eq!(named.code, 0, "{}", named.err);
    let mut by_variable = timerctl(&server.url, &["get", "hello"]);
    // A machine without authorities of its own.
    by_variable.env("TIMERCTL_CA_FILE", path).env("SSL_CERT_FILE", "/nowhere/none.pem");
    assert!(by_variable.output().await.unwrap().status.success());
    let unnamed = run(&server.url, &["get", "hello"]).await;
    assert_eq!(unnamed.code, 5, "{}", unnamed.err);
    assert!(unnamed.err.contains("an authority that is not trusted here"), "{}", unnamed.err);
    assert!(unnamed.err.contains("--ca-file or TIMERCTL_CA_FILE"), "{}", unnamed.err);
    let missing = run(&server.url, &["get", "hello", "--ca-file", "/nowhere/ca.pem"]).await;
    assert_eq!(missing.code, 2, "{}", missing.err);
    assert!(missing.err.contains("/nowhere/ca.pem: No such file"), "{}", missing.err);
}

#[tokio::test]
async fn a_machine_without_certificate_authorities_is_said_to_be_one() {
    let mut command = timerctl("https://127.0.0.1:1", &["get", "hello"]);
    let output = command.env("SSL_CERT_FILE", "/nowhere/none.pem").output().await.unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("no certificate authorities for https"), "{err}");
}

#[tokio::test]
async fn a_signing_secret_is_printed_once_listed_and_deleted() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDb1F4rxWXhPg=";
    let made = json!({"id": "sec_28672", "secret": secret, "createdAt": "2026-12-01T09:00:00.000Z"});
    let list = json!({"signingSecrets": [{"id": "sec_28672", "createdAt": "2026-12-01T09:00:00.000Z"}]});
    let answer = |status, body: String| Step::Answer(status, vec![], body);
    let steps = [
        answer(201, made.to_string()),
        answer(201, made.to_string()),
        answer(200, list.to_string()),
        answer(204, String::new()),
    ];
    let server = FakeServer::start(steps).await;
    let group = ["group", "secret"];
    let mut out = Vec::new();
    for args in [
        ["create", "orders", "--idempotency-key", "k"].as_slice(),
        ["create", "orders", "--output", "json"].as_slice(),
        ["list", "orders"].as_slice(),
        ["delete", "orders", "sec_28672"].as_slice(),
    ] {
        let ran = run(&server.url, &[group.as_slice(), args].concat()).await;
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        out.push(ran.out);
    }
    assert!(
        out[0].starts_with("made a signing secret of group orders\n") && out[0].contains(secret),
        "{}",
        out[0]
    );
    assert_eq!(out[1], format!("{made}\n"));
    assert_eq!(out[2], "ID         CREATED\nsec_28672  2026-12-01T09:00:00.000Z\n");
    assert_eq!(out[3], "deleted signing secret sec_28672 of group orders\n");
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|s| format!("{} {}", s.method, s.target)).collect();
    let path = "/api/v1/groups/orders/signing-secrets";
    let expected = ["POST", "POST", "GET", "DELETE"].map(|method| match method {
        "DELETE" => format!("DELETE {path}/sec_28672"),
        _ => format!("{method} {path}"),
    });
    assert_eq!(lines, expected);
    assert_eq!(seen[0].header("idempotency-key"), Some("k"));
    assert!(seen[1].header("idempotency-key").is_some(), "one is made");
}
