//! The one place where vectors meet the calls of a session.

use std::convert::Infallible;

use chopmark_core::{
    handshake::{Own, RespondError},
    prekey::{OneTimePrekeySecret, SignedPrekeySecret},
    session::{Acknowledged, Event, Incoming, OpenError, Position, SealError, Session},
    time::Timestamp,
};
use rand_core::TryCryptoRng;

/// What is known of a message beside its envelope.
pub(super) struct Message {
    pub(super) content: Vec<u8>,
    pub(super) position: Position,
    pub(super) acknowledged: Option<Acknowledged>,
    pub(super) events: Vec<Event>,
}

/// Seals and stores.
pub(super) fn seal(
    session: &mut Session,
    content: &[u8],
    now: Timestamp,
    rng: &mut (impl TryCryptoRng + ?Sized),
) -> Result<(Vec<u8>, Message), SealError> {
    let sealed = session.seal(content, now, rng)?;
    let sent = sealed.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
    let (position, events) = (sent.position, sent.events);
    let message = Message { content: content.to_vec(), position, acknowledged: None, events };
    Ok((sent.envelope.into_bytes(), message))
}

/// Opens and stores.
pub(super) fn open(
    session: &mut Session,
    envelope: &[u8],
    now: Timestamp,
) -> Result<Message, OpenError> {
    let opened = session.open(envelope, now)?;
    let message = opened.commit(|_, _| Ok::<_, Infallible>(())).expect("nothing to fail");
    Ok(message.into())
}

/// Answers a first message and stores.
pub(super) fn answer(
    own: &Own<'_>,
    signed: &SignedPrekeySecret,
    one_time: Option<&OneTimePrekeySecret>,
    envelope: &[u8],
    now: Timestamp,
) -> Result<(Session, Message), RespondError> {
    let answered = Session::respond(own, signed, one_time, envelope, now)?;
    Ok((answered.session, answered.message.into()))
}

impl From<Incoming> for Message {
    fn from(incoming: Incoming) -> Self {
        let Incoming { content, acknowledged, position, events, .. } = incoming;
        Self { content: content.to_vec(), position, acknowledged, events }
    }
}

/// The same state once more, as a copied device has it.
pub(super) fn copy(session: &Session) -> Session {
    Session::import(&session.export()).expect("its own state")
}
