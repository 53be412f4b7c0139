"""A sample mail server with one lived-in mailbox, so that ``make run`` shows Postkasse at work without any set-up.

IMAP by pymap over maildir folders, submission by aiosmtpd, both on the loopback interface only. It delivers within
its own domain and refuses everything else, so that nothing written while trying ever leaves the machine.

``letter``    a letter and how it becomes an RFC 5322 message
``files``     attachments, made by code, each valid
``people`` ``business`` ``oddities``   the letters themselves
``seed``      letters -> maildir folders, once
``server``    the two servers
"""
