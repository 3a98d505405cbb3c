-- Golden values of regular expressions: whether there is a match, which one, and its parts.
select * from gold('textregexeq(text,text)', '{text,text}', '[["","a","ab","abc","a\nb","A","é","x-","]","\\","{","a{,2}","aaa","foobar","12 ab_c","a.b","^","-"," ","\t",null],
 ["","a","^a","b$","^a.*c$","a|b","(a|b)+","[abc]","[^a]","[a-]","[]a]","[^]a]","[a-c-]","a{2}","a{2,}","a{,2}","{","a{1,2}b","\\d","\\w+","\\s","\\D","\\W","\\S","[[:digit:]]","[[:alpha:]_]+$","[[:space:]]","[^[:alnum:]]","[[:upper:]]","\\.","\\\\","\\-","a\\nb","^b","a$","\\Aa\\Z","(?:a|b)c","(?i)A","()","a||b","(|a)","é","[é]","\\mfoo","bar\\M","\\yab","a*?","a+?b","[\\d-]","[--/]","[a\\-z]","[[:punct:]]","\\^","(a)\\1","(?=a)","a**","*a","[z-a]","a{3,2}","a{256}","(a","a)","\\q","[[:bad:]]","[a","a\\","x(?!y)","***=a","^*",".",null]]');
select * from gold('texticregexeq(text,text)', '{text,text}', '[["","a","A","aB","É","é","K","ſ"],["a","A","[a-b]+$","[^a]","ab","É","é","k","s","[[:upper:]]","\\w"]]');
select * from gold('textregexne(text,text)', '{text,text}', '[["","a",null],["a","^$"]]');
select * from gold('bpcharregexeq(character,text)', '{character(4),text}', '[["","ab","abcd"],["b$","b *$","^.{4}$","\\s"]]');
select * from gold('regexp_like(text,text,text)', '{text,text,text}', '[["a","A","a\nb"],["a","^b"],["","i","c","n","g","x"]]');
select * from gold('regexp_replace(text,text,text)', '{text,text,text}', '[["","abc","aab ab","http://www.example.org/a/b","https://x.y/z","foo.bar.baz","2020-01-31T10:00","  a  b ","aXbX","éaé"],
 ["a","a*","b*","a|ab","(a|ab)(c|bcd)?","(a?)(ab)?","^https?://(?:www\\.)?([^/]+)/.*$","\\.","(\\d+)-(\\d+)-(\\d+)","^\\s+|\\s+$","\\s+","(.*)X","(.*?)X","x*$","^(\\w+)\\.(\\w+)","([a-z]+)(\\.[a-z]+)?$","é","","(a)(b)?","(?:ab)+","(ab|a)+","[a-z]+?","^.*?o"],
 ["-","[\\1]","<\\&>","\\2\\1\\\\\\3","\\0\\a\\"]]');
select * from gold('regexp_replace(text,text,text,text)', '{text,text,text,text}', '[["","abc","aab ab","Aa","foo.bar.baz"],["a","a*","b*","a|ab","(a|b)","\\.","","$","^"],["-","<\\&>","[\\1]"],["g","","i","gi","1","x"]]');
select * from gold('regexp_replace(text,text,text,integer)', '{text,text,text,integer}', '[["","abcabc","éaéa"],["a","","b*","^"],["-"],["-1","0","1","2","4","7","8"]]');
select * from gold('regexp_replace(text,text,text,integer,integer)', '{text,text,text,integer,integer}', '[["","abcabc","éaéa"],["a","b*"],["-"],["1","2"],["-1","0","1","2","3"]]');
select * from gold('regexp_replace(text,text,text,integer,integer,text)', '{text,text,text,integer,integer,text}', '[["abcABC"],["a","b*"],["-"],["1","2"],["0","1","2"],["","i","g"]]');
select * from gold('substring(text,text)', '{text,text}', '[["","abc","aab","foobar","x=12, y=345","http://www.example.org/a/b","a-b-c","éé1",null],
 ["a","a*b","(a)","(b)?c","o+","o+?","=(\\d+)","(\\d+),","^(.*?)-","^(.*)-","(foo|bar)+","foo|foobar","(a|aa)b","[0-9]+","é+","([^/:]+)/([^/]+)","(x)?a","^(\\w+)(-\\w+)?(-\\w+)?$",null]]');
select * from gold('regexp_match(text,text)', '{text,text}', '[["","abc","foobar","2020-01-31","k=v; k2=v2",null],["a","(\\d+)-(\\d+)-(\\d+)","(o+)(b)","(\\w+)=(\\w+)","(x)?","b|c","(b)|(c)",""]]');
select * from gold('regexp_match(text,text,text)', '{text,text,text}', '[["ABC"],["a","(b)(c)"],["","i","g"]]');
select * from gold('regexp_count(text,text)', '{text,text}', '[["","abcabc","aaa","éaé"],["a","aa","","a*","b|c","é"]]');
select * from gold('regexp_count(text,text,integer)', '{text,text,integer}', '[["","abcabc","éaé"],["a","","$"],["0","1","2","3","4","7","8"]]');
select * from gold('regexp_count(text,text,integer,text)', '{text,text,integer,text}', '[["abcABC"],["a"],["1"],["i","","g"]]');
select * from gold('regexp_instr(text,text)', '{text,text}', '[["","abcabc","éaé"],["a","c","","aé","x"]]');
select * from gold('regexp_instr(text,text,integer,integer,integer)', '{text,text,integer,integer,integer}', '[["abcabc","éaéa"],["a","b*","é?"],["1","3","9"],["0","1","2","3"],["0","1","2"]]');
select * from gold('regexp_instr(text,text,integer,integer,integer,text,integer)', '{text,text,integer,integer,integer,text,integer}', '[["abcABC"],["(a)(b)","b","(a)|(b)"],["1"],["1","2"],["0","1"],["i"],["-1","0","1","2","3"]]');
select * from gold('regexp_substr(text,text)', '{text,text}', '[["","abcabc","éaé"],["a","c","","aé","x","(b)c"]]');
select * from gold('regexp_substr(text,text,integer,integer)', '{text,text,integer,integer}', '[["abcabc","éaéa"],["a.","é?"],["1","2","9"],["1","2"]]');
select * from gold('regexp_substr(text,text,integer,integer,text,integer)', '{text,text,integer,integer,text,integer}', '[["abcABC"],["(a)(b)","b","(x)?b"],["1"],["1","2"],["i",""],["0","1","2","3"]]');
select * from gold('regexp_split_to_array(text,text)', '{text,text}', '[["","a,b,,c","abc","  a  b ","é1é",null],[",","","\\s+","b*","b","\\d","x*"]]');
select * from gold('regexp_split_to_array(text,text,text)', '{text,text,text}', '[["aXbxc"],["x"],["i","","g"]]');
-- Under a locale's collation.
select * from gold('textregexeq(text,text)', '{text,text}', '[["","a1_","é","É","K","\u001c"," "],["\\w","\\s","\\d","[[:upper:]]","é",".","[^a]","^\\W*$","\\S"]]', 'en-x-icu');
select * from gold('texticregexeq(text,text)', '{text,text}', '[["a","A","é","É","K"],["a","É","k","[a-z]"]]', 'en-x-icu');
