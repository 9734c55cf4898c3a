//! A connection to PostgreSQL, driven by the thread that asks, and opened within a bounded time.
//!
//! The driver that blocks bounds the TCP connection alone. A frozen server, a pool or a forwarder that takes a connection and
//! says nothing more would keep a thread for good, also once another server is there.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Error, Row, Socket, Statement};

/// How long the other side is waited for when a connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

type Connection = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A connection, for one thread.
pub(crate) struct Client {
    // INVARIANT: dropped before the link, which ends once nobody can ask any more.
    asking: tokio_postgres::Client,
    link: Link,
}

/// What carries questions and answers, while somebody waits for one.
struct Link {
    runtime: Runtime,
    /// Until it ended.
    connection: Option<Connection>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// This system has no room for one.
    NoRoom(std::io::Error),
    /// It was refused, or nobody is there.
    Refused(Error),
    /// Nothing came of it in time.
    Silent,
}

impl Client {
    /// A connection that has carried out `first`, all of it within that time.
    pub(crate) fn open<T>(config: &Config, tls: T, within: Duration, first: &str) -> Result<Self, NotOpened>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(NotOpened::NoRoom)?;
        let opening = async {
            let (asking, connection) = config.connect(tls).await?;
            let mut connection: Option<Connection> = Some(Box::pin(connection));
            beside(&mut connection, asking.batch_execute(first)).await?;
            Ok::<_, Error>((asking, connection))
        };
        let why = match runtime.block_on(async { tokio::time::timeout(within, opening).await }) {
            Ok(Ok((asking, connection))) => {
                return Ok(Self { asking, link: Link { runtime, connection } });
            }
            Ok(Err(error)) => NotOpened::Refused(error),
            Err(_) => NotOpened::Silent,
        };
        // A name server that says nothing is not waited for either.
        runtime.shutdown_background();
        Err(why)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.asking.is_closed()
    }

    pub(crate) fn batch_execute(&mut self, sql: &str) -> Result<(), Error> {
        self.link.carry(self.asking.batch_execute(sql))
    }

    pub(crate) fn prepare(&mut self, sql: &str) -> Result<Statement, Error> {
        self.link.carry(self.asking.prepare(sql))
    }

    pub(crate) fn query(
        &mut self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.link.carry(self.asking.query(statement, params))
    }

    pub(crate) fn execute(
        &mut self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.link.carry(self.asking.execute(statement, params))
    }
}

impl Link {
    fn carry<T>(&mut self, question: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime.block_on(beside(&mut self.connection, question))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(async { tokio::time::timeout(FAREWELL, connection).await });
        }
    }
}

/// The answer, while the connection carries it. Why that ended is the answer too: the server says it there.
async fn beside<T>(
    connection: &mut Option<Connection>,
    question: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut question = pin!(question);
    poll_fn(|context| {
        if let Some(carrying) = connection
            && let Poll::Ready(ended) = carrying.as_mut().poll(context)
        {
            *connection = None;
            if let Err(error) = ended {
                return Poll::Ready(Err(error));
            }
        }
        question.as_mut().poll(context)
    })
    .await
}
