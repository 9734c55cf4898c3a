//! What a start that is refused leaves behind.

use super::prepare;
use crate::settings::{Settings, Sources};

#[tokio::test]
async fn a_start_on_a_port_that_is_taken_makes_nothing_and_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let environment = vec![
        ("PORTCULLIS_DATA".to_owned(), data.display().to_string()),
        ("PORTCULLIS_LISTEN".to_owned(), taken.local_addr().unwrap().to_string()),
    ];
    let settings = Settings::from_sources(&Sources { environment, ..Sources::default() }).unwrap();
    let said = format!("{:#}", prepare(&settings).await.err().unwrap());
    assert!(said.contains("`--listen`") && said.contains(&settings.listen.to_string()), "{said}");
    assert!(!data.exists());
}
