//! Mail: bytes by the library, over a connection to the very address that was looked at.

use std::time::Duration;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::call::CallError;
use crate::{
    notifications::{
        CALL,
        channels::{Answered, MailCall, Settings},
    },
    outgoing::Client,
};

/// Sends a mail. The answer's status is the server's three digits.
///
/// # Errors
/// Nothing answered, or the mail cannot be written.
pub async fn send(client: &Client, settings: &Settings, mail: &MailCall, plain: bool) -> Result<Answered, CallError> {
    let host = settings.get("host");
    let security = settings.get("security");
    let usual = match security {
        "tls" => 465,
        "none" => 25,
        _ => 587,
    };
    if security == "none" && !plain {
        return Err(CallError::Refused(
            "mail without encryption is not allowed; allow it with notifications.plain_mail",
        ));
    }
    let port: u16 = settings.given("port").and_then(|p| p.parse().ok()).unwrap_or(usual);
    let address = client.look_up(host, port).await?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
        .port(port)
        .timeout(Some(CALL.min(Duration::from_secs(15))))
        .hello_name(ClientId::Domain(domain(&mail.from)));
    let wrong = |e: lettre::transport::smtp::Error| CallError::Mail(told(&e));
    if security != "none" {
        let mut tls = TlsParameters::builder(host.to_owned());
        if let Some(ca) = settings.given("ca") {
            tls = tls.add_root_certificate(Certificate::from_pem(ca.as_bytes()).map_err(wrong)?);
        }
        let tls = tls.build_rustls().map_err(wrong)?;
        transport = transport.tls(if security == "tls" { Tls::Wrapper(tls) } else { Tls::Required(tls) });
    }
    if let Some(user) = settings.given("user") {
        transport = transport.credentials(Credentials::new(user.to_owned(), settings.get("password").to_owned()));
    }
    let (envelope, bytes) = written(mail)?;
    let sent = tokio::time::timeout(CALL, transport.build().send_raw(&envelope, &bytes)).await;
    match sent {
        Ok(Ok(answer)) => Ok(Answered {
            status: u16::from(answer.code()),
            headers: Vec::new(),
            body: answer.message().collect::<Vec<_>>().join(" "),
        }),
        Ok(Err(e)) => match e.status() {
            Some(code) => Ok(Answered { status: u16::from(code), headers: Vec::new(), body: told(&e) }),
            None => Err(CallError::Mail(format!("{host}:{port} did not take the mail: {}", told(&e)))),
        },
        Err(_) => Err(CallError::MailLate { host: host.to_owned(), port }),
    }
}

/// An error with its causes, without repetition.
fn told(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

fn domain(from: &str) -> String {
    let address: Option<Mailbox> = from.parse().ok();
    address.map_or_else(|| "localhost".to_owned(), |m| m.email.domain().to_owned())
}

/// A mail as it goes over the wire, and whom the server is told.
pub fn written(mail: &MailCall) -> Result<(Envelope, Vec<u8>), CallError> {
    let boxed = |text: &str| {
        text.parse::<Mailbox>().map_err(|_| CallError::Refused("an address in its settings is no mail address"))
    };
    let from = boxed(&mail.from)?;
    let to: Vec<Mailbox> = mail.to.iter().map(|to| boxed(to)).collect::<Result<_, _>>()?;
    let reached: Vec<Address> = to.iter().map(|m| m.email.clone()).collect();
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(mail.subject.replace(['\r', '\n'], " "))
        .message_id(Some(mail.message_id.clone()));
    for to in to {
        builder = builder.to(to);
    }
    if let Some(id) = &mail.reply_to {
        builder = builder.in_reply_to(id.clone()).references(id.clone());
    }
    let body = MultiPart::alternative()
        .singlepart(SinglePart::plain(mail.text.clone()))
        .singlepart(SinglePart::html(mail.html.clone()));
    let unwritable = |_| CallError::Refused("the mail cannot be written");
    let mut message = builder.multipart(body).map_err(unwritable)?;
    for (name, value) in &mail.headers {
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| CallError::Refused("a header of the mail cannot be written"))?;
        message.headers_mut().insert_raw(HeaderValue::new(name, value.replace(['\r', '\n'], " ")));
    }
    let envelope = Envelope::new(Some(from.email), reached)
        .map_err(|_| CallError::Refused("a mail needs a sender and somebody to go to"))?;
    Ok((envelope, message.formatted()))
}
