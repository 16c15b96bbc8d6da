//! A callback that is sent as a test: what is read of the definition, and what is shown of what came back.

use serde_json::json;

use crate::support::Api;

const LINE: &str = "POST /api/v1/groups/default/test-callback";

#[tokio::test]
async fn what_came_back_is_shown_whether_it_was_delivered_or_not() {
    let api = Api::new();
    // This receiver takes what has a payload, and answers with the id.
    let taken =
        api.call(LINE, r#"{"callbackUrl": "http://r/", "payload": 1, "callbackTimeout": "2s"}"#).await;
    for (name, value) in
        [("outcome", json!("delivered")), ("statusCode", json!(200)), ("duration", json!("2s"))]
    {
        assert_eq!(taken.ok()[name], value, "{name}");
    }
    let failed = api.call(LINE, r#"{"callbackUrl": "http://r/", "id": "mine"}"#).await;
    assert_eq!((&failed.ok()["outcome"], &failed.json["answer"]), (&json!("failed"), &json!("mine")));
    assert_eq!(failed.json["error"]["kind"], "HTTP_STATUS");
}

#[tokio::test]
async fn a_test_has_an_id_that_no_timer_has_and_leaves_none() {
    let api = Api::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let tested = api.call(LINE, r#"{"callbackUrl": "http://r/", "delay": "1h", "payload": 1}"#).await;
        ids.push(tested.ok()["answer"].as_str().unwrap().to_owned());
    }
    assert!(ids.iter().all(|id| id.starts_with("test-")) && ids[0] != ids[1], "{ids:?}");
    assert_eq!(api.call("GET ", "").await.ok()["timers"], json!([]));
}

#[tokio::test]
async fn every_fault_of_its_definition_is_named() {
    let api = Api::new();
    let refused = api.call(LINE, r#"{"callbackMethod": "POKE", "nothing": 1}"#).await;
    assert_eq!(refused.problem(), (400, "INVALID_ARGUMENT"));
    assert_eq!(refused.fields(), ["callbackMethod", "callbackUrl", "nothing"]);
}
