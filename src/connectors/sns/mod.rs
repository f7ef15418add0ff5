//! Amazon SNS: CloudWatch alarms, EventBridge events, and whatever else a topic carries.

mod envelope;
mod messages;

use serde_json::Value;

use self::envelope::Envelope;
use super::{Certified, Check, Connector, Info, Overload, Request, Signature, body, fields::Obj, text};
use crate::model::{Note, Parsed, Problem};

pub(super) struct Sns;

static INFO: Info = Info {
    slug: "sns",
    name: "Amazon SNS",
    tile: "Sn",
    way: "HTTPS subscription of a topic",
    success: 202,
    overload: Overload::TooMany,
    // After an answer of 4xx SNS gives the message up.
    lenient: true,
    builds: false,
    signature: Some(
        "SNS' own signature, by a certificate of amazonaws.com, from the topics that the signing secret lists: topic ARNs \
         or account numbers, with commas between; certificates (PEM) may stand there too, where none can be fetched",
    ),
    steps: &[
        "In the AWS console, open Simple Notification Service, Topics, choose the topic (Standard), and Create \
         subscription.",
        "Choose the Protocol HTTPS and the Endpoint {url}/{key}. Leave Enable raw message delivery off, or nothing is \
         signed. A user and the key before the host (`https://sns:{key}@…`) do the same as the key at the end: SNS sends \
         them as Basic.",
        "Choose Create subscription. SNS asks here for a confirmation, which is given at once: the delivery says so, or \
         says why not and can be replayed.",
        "In CloudWatch, open each alarm, Edit, Configure actions, and send a notification to that topic for In alarm \
         and for OK: without OK nothing will ever resolve.",
        "To take the key out of the URL, put the topic's ARN here as signing secret and use {url}: the signature then \
         proves the sender. Proof by signature alone refuses what cannot be checked.",
        "Try it with `aws cloudwatch set-alarm-state --alarm-name NAME --state-value ALARM --state-reason test`.",
    ],
    fields: &[
        ("Title", "AlarmName; detail-type; else Subject"),
        ("Description", "AlarmDescription, else NewStateReason; else the message"),
        ("Severity", "severity: or priority: in the description, a word such as critical or P2 in the name, else high"),
        (
            "Service",
            "dimension ServiceName, FunctionName, DBInstanceIdentifier and the like, else a Namespace of yours",
        ),
        ("Host", "dimension InstanceId or Host"),
        ("Identity", "AlarmArn, else account, region and AlarmName; the event's own id; else topic and subject"),
        ("State", "ALARM fires, OK resolves, INSUFFICIENT_DATA is a line in the timeline"),
        ("Link", "the alarm in the console"),
        ("Time", "StateChangeTime, else the envelope's Timestamp"),
    ],
    sample: include_str!("../samples/sns.json"),
};

impl Connector for Sns {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        // The signature covers the envelope: nothing that stands beside it is read in its place.
        let is_raw = request.header("x-amz-sns-rawdelivery").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if is_raw && Envelope::read(request.body).is_none() {
            return raw(request);
        }
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        let root = body.object(INFO.name)?;
        let records = body::limited(root.list("Records"), "/Records")?;
        if root.has("Type") && root.has("TopicArn") {
            one(root, &mut parsed);
        } else if !records.is_empty() {
            // As Lambda hands them on.
            for (n, record) in records.iter().enumerate() {
                let at = parsed.signals.len();
                one(Obj::of(Some(record)).object("Sns"), &mut parsed);
                parsed.signals.iter_mut().skip(at).for_each(|s| s.path = format!("/Records/{n}/Sns"));
            }
            parsed.retry_id = None;
        } else {
            // Raw delivery whose header was lost on the way.
            parsed.signals.extend(messages::json(root, None));
        }
        if parsed.signals.is_empty() && parsed.notes.is_empty() {
            let looked_for = "`Type`, `TopicArn` and `Message` (the envelope), or an alarm with `AlarmName`";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        }
        parsed.signals.iter_mut().for_each(|signal| signal.repaired = body.repaired);
        Ok(parsed)
    }

    fn certified(&self) -> Option<&dyn Certified> {
        Some(self)
    }
}

/// Reads one envelope.
fn one(root: Obj<'_>, parsed: &mut Parsed) {
    let topic = root.text("TopicArn").map_or_else(|| "an unnamed topic".to_owned(), |t| text::line(&t, 300));
    match root.text("Type").as_deref() {
        Some("SubscriptionConfirmation") => {
            parsed.notes.push(Note::Ping(format!("The topic {topic} asks to be confirmed.")));
        }
        Some("UnsubscribeConfirmation") => {
            let link = root.url("SubscribeURL").map(|l| format!(" To have it back, open {l}")).unwrap_or_default();
            parsed.notes.push(Note::Warning(format!(
                "The topic {topic} sends here no longer: its subscription was removed.{link}"
            )));
        }
        _ => parsed.signals.extend(messages::notification(root)),
    }
    parsed.retry_id = root.text("MessageId").map(|id| text::line(&id, 200));
}

/// The message alone, of any form.
fn raw(request: &Request<'_>) -> Result<Parsed, Problem> {
    let topic = request.header("x-amz-sns-topic-arn").and_then(text::name);
    let said = String::from_utf8_lossy(request.body);
    if said.trim().is_empty() {
        return Err(body::problem("invalid_json", "The message is empty.", None));
    }
    let value = serde_json::from_str::<Value>(&said).ok().filter(Value::is_object);
    let signal = value
        .as_ref()
        .and_then(|v| messages::json(Obj::of(Some(v)), topic.as_deref()))
        .or_else(|| messages::plain(topic.as_deref(), None, &said));
    let signal = signal.ok_or_else(|| body::problem("unrecognised", "Nothing in the message can be read.", None))?;
    let retry_id = request.header("x-amz-sns-message-id").map(|id| text::line(id, 200)).filter(|id| !id.is_empty());
    let note = "Raw message delivery: SNS signs nothing, and only the key proves the sender.";
    Ok(Parsed { signals: vec![signal], notes: vec![Note::Warning(note.to_owned())], retry_id, ..Parsed::default() })
}

impl Certified for Sns {
    fn check(&self, request: &Request<'_>, known: &str) -> Check {
        let Some(envelope) = Envelope::read(request.body) else { return Check::Unsigned };
        if !envelope.is_signed() {
            return Check::Unsigned;
        }
        // Whatever the envelope says, a certificate that the operator put here comes first.
        if envelope::certificates(known).any(|pem| envelope.signed_by(pem)) {
            return Check::Valid;
        }
        envelope.certificate().map_or_else(Check::Refuse, Check::Fetch)
    }

    fn signed_by(&self, request: &Request<'_>, pem: &str) -> Signature {
        match Envelope::read(request.body) {
            Some(envelope) if envelope.signed_by(pem) => Signature::Valid,
            _ => Signature::Invalid,
        }
    }

    fn allows(&self, request: &Request<'_>, known: &str) -> bool {
        Envelope::read(request.body).is_some_and(|envelope| envelope.is_from(known))
    }

    fn confirmation(&self, request: &Request<'_>) -> Option<Result<String, String>> {
        Envelope::read(request.body).and_then(|envelope| envelope.confirmation())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Time;

    #[test]
    fn what_is_signed_is_what_is_read() {
        let alarm = |name: &str| json!({"AlarmName": name, "NewStateValue": "ALARM"});
        let mut sent = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
            "MessageId": "1", "Message": alarm("signed").to_string()});
        let beside = json!({"AlarmName": "beside", "Records": [{"Sns": {"Message": alarm("beside").to_string()}}]});
        sent.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        let body = sent.to_string();
        for raw in ["true", "false"] {
            let headers = [("x-amz-sns-rawdelivery".to_owned(), raw.to_owned())];
            let body = body.as_bytes();
            let request =
                Request { headers: &headers, query: &[], body, received_at: Time::default(), rca_enabled: false };
            let titles: Vec<String> = Sns.parse(&request).unwrap().signals.into_iter().map(|s| s.title).collect();
            assert_eq!(titles, ["signed"], "{raw}");
        }
    }
}
