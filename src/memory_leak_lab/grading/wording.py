"""The words that the rules of `reader` know."""

from __future__ import annotations

import re

from memory_leak_lab.grading.rubric import SCENARIO

NOT = (
    r"(?:\b(?:no|not|never|nothing|none|nobody|no one|nor|neither|without|cannot|lacks?|lacking|missing|absent|ruled out"
    r"|rather than|fail(?:s|ed)? to)\b|n't\b)"
)
NEGATION = re.compile(NOT, re.I)
DENIED_BEFORE = re.compile(
    NOT + r"(?:[\s\w]{0,12}\b(?:be|been))?"
    r"(?:\s+(?:an?|any|the|this|that|real|really|memory|single|process|service|host|signs? of|steady|on|is|does|it))*\s*$",
    re.I,
)
REMOVAL = (
    r"(?:evict|remov|delet|drop|discard|expir|expung|purg|prun|trimm?|clear|clean|popp?|free|releas|forg[eo]t|flush"
    r"|eras|cull|dispos|struck|strik|empt|shrink|throws?|threw|get(?:s|ting)? rid|takes?|taken|leave)(?!-)"
)
LIMIT = r"(?:limit|bound|cap\b|capp|maximum|max\b|ttl\b|time[- ]to[- ]live|lifetime|upper|ceiling|size check)"
CONTAINER = re.compile(
    r"\b(?:\w*cach\w*|\w*sessions?\w*|entr(?:y|ies)|dict(?:s|ionary|ionaries)?|(?:hash ?)?maps?|(?:hash )?tables?|lists?"
    r"|stor(?:e|es|ed|ing)|tokens?|visitors?|state|structures?|containers?|records?|objects?|keys?|guests?|items?)\b"
    r"|\b(?:sitzung\w*|eintr[aä]g\w*|speicher|zwischenspeicher|wörterbuch|entrées?|dictionnaire|jetons?|entradas?"
    r"|diccionario|sesion\w*|sesión|caché|fichas?)\b",
    re.I,
)
KEPT = re.compile(
    rf"{NOT}[^.;]{{0,60}}\b(?:{REMOVAL}|{LIMIT})"
    rf"|\b{REMOVAL}[^.;]{{0,60}}\b(?:does not exist|doesn't exist|is missing|is absent|never (?:happens|runs|comes))"
    r"|\b(?:un(?:bounded|limited|begrenzte\w*)|boundless|limitless|append-only|write-only|insert-only|ever-growing)\b"
    r"|\b(?:for ?ever|indefinitely|for good)\b|\b(?:hoard|accumulat|pile|piling)\w*"
    r"|\b(?:keeps?|kept|retains?|holds?|remembers?|stores?|saves?|caches) (?:on to )?(?:every|all|each)\b"
    r"|\bonly (?:ever )?(?:gets?|receives?|rises?|adds?|grows?)\b|\b(?:stays?|remains?)\b(?=[^a-z]*$)"
    r"|\ban entry for each request\b|\bas many entries as\b"
    # Old entries stay, or nothing takes them out.
    r"|\b(?:old|spent|used|stale|previous|replaced|superseded|expired|dead|orphan\w*|abandoned|obsolete|earlier|former"
    r"|used-up|unreachable)\b[^.;]{0,60}"
    r"\b(?:stays?|stayed|remains?|remained|kept|keeps?|linger\w*|left|leaves|lives? on|survives?|piles?|retained|garbage"
    r"|behind|never|accumulat\w*|in place)\b"
    r"|\b(?:keeps?|kept|keeping|retains?|retaining|leaves|leaving|hoards?|holds?)\b[^.;]{0,40}\b(?:old|spent|used|stale"
    r"|previous|replaced|superseded|every|all|each)\b"
    r"|\b(?:adds?|inserts?|stores?|files?|saves?|writes?)\b[^.;]{0,60}\b(?:without|but never|and never"
    r"|never)\b[^.;]{0,30}\b(?:delet|remov|evict|drop|discard|clean|expir|prun|clear|releas|free)"
    r"|\b(?:stays?|remains?|lives?|left|kept)\b[^.;]{0,25}\b(?:in (?:the )?(?:cache|dict\w*|memory|map|table|heap)"
    r"|for the life|forever|for good|behind)\b"
    r"|\b(?:isn't|is not|wasn't|was not|are not|aren't|not) (?:set|passed|given|configured|used|enabled"
    r"|in effect)\b[^.;]{0,80}\b(?:grow|unlimit|unbound|no limit|default)"
    r"|\b(?:max[-_ ]sessions|limit|cap|bound|maximum)\b[^.;]{0,60}\b(?:is not|isn't|was not|wasn't|not|never|no one"
    r"|nobody) (?:set|passed|given|configured|used|enabled|supplied|switched on|present)\b"
    r"|\b(?:entries|entry count|cache_entries|sessions)\b[^.;]{0,50}\b(?:equal\w*|matche?s?|same as|tracks?|follows?"
    r"|identical to|one per|=)\b[^.;]{0,30}\brequests?\b"
    # German, French, Spanish
    r"|\b(?:nie|niemals|nicht|nirgends|nichts)\b[^.;]{0,60}\b(?:gelöscht|entfernt|verworfen|aufgeräumt|freigegeben|gelöst"
    r"|verdrängt|bereinigt|geleert|weggeworfen|löscht|entfernt|wirft|räumt)\b"
    r"|\b(?:löscht|entfernt|verwirft|räumt|gibt)\b[^.;]{0,40}\b(?:nie|niemals|nicht)\b|\b(?:ohne|keine?n?"
    r"|fehlende?)\b[^.;]{0,40}(?:grenze|begrenzung|limit|verdrängung|ablauf|eviction|obergrenze|\bttl\b)"
    r"|\b(?:alten?|verbrauchten?|abgelösten?|ersetzten?|jede[rsn]?|früheren?|benutzten?)\b[^.;]{0,60}\b(?:bleib\w*|behält"
    r"|behalten|verbleib\w*|liegen)\b|\bunbegrenzt\w*|\bunbeschränkt\w*|\bungebremst\w*"
    r"|\b(?:hebt|bewahrt|behält|speichert|sammelt|hortet)\b[^.;]{0,40}\b(?:jede\w*|alle\w*|für immer|dauerhaft)\b"
    r"|\bfür immer\b"
    r"|\b(?:garde|conserve|stocke|accumule)\b[^.;]{0,40}\b(?:chaque|toute?s?|tous|indéfiniment)\b"
    r"|\bpour toujours\b|\bindéfiniment\b"
    r"|\b(?:guarda|conserva|almacena|acumula)\b[^.;]{0,40}\b(?:cada|tod[oa]s?|para siempre)\b|\bpara siempre\b"
    r"|\bindefinidamente\b"
    r"|\bne\b[^.;]{0,40}\bjamais\b|\bjamais\b[^.;]{0,50}\b(?:supprim|purg|évinc|retir|effac|libér|enlev|nettoy|élimin"
    r"|invalid)\w*|\b(?:supprim|purg|évinc|retir|effac|libér)\w*[^.;]{0,30}\bjamais\b"
    r"|\b(?:sans|aucune?|pas de)\b[^.;]{0,30}\b(?:limite|borne|plafond|éviction|expiration|purge|maximum)\b|\billimité\w*"
    r"|\bnon borné\w*"
    r"|\b(?:ancien\w*|vieux|vieille\w*|précédent\w*|usagé\w*|consommé\w*|chaque|remplacé\w*)\b[^.;]{0,60}\b(?:rest\w+"
    r"|conserv\w+|gard\w+|demeur\w+|subsist\w+)\b"
    r"|\b(?:nunca|jamás|no|nadie|nada)\b[^.;]{0,40}\b(?:elimin|borr|descart|liber|retir|quit|limpi|expuls|desaloj|suprim)\w*"
    r"|\b(?:sin|ningún|ninguna)\b[^.;]{0,30}\b(?:límite|tope|expiración|desalojo|caducidad|expulsión|máximo)\b"
    r"|\bilimitad\w*|\bno acotad\w*"
    r"|\b(?:antigu\w+|viej\w+|anterior\w*|usad\w+|gastad\w+|cada|consumid\w+|reemplazad\w+)\b[^.;]{0,60}\b(?:permanec\w+"
    r"|qued\w+|conserv\w+|guard\w+|acumul\w+)\b"
    r"|\babandoned\b|\bnever (?:comes?|came|goes|went|get|gets|taken|lets?|released)\b[^.;]{0,20}\b(?:out|go|back|away)\b"
    r"|\b(?:not|never) (?:taken|thrown|cleared|let) (?:out|away|go)\b|\bno way out\b|\bnothing (?:takes|throws|clears"
    r"|removes|deletes|lets)\b|\bno eviction\b|\bnobody (?:removes|deletes|clears|throws|takes)\b",
    re.I,
)
NO_CONTAINER = re.compile(
    r"\bno (?:\w+ )?cache (?:is )?(?:involved|here|at all|in )|\b(?:see|saw|found?|has|have) no (?:\w+ )?cache\b"
    r"(?! (?:evict|limit|expir|clean|bound|size))|\bnot (?:a|the) (?:\w+ )?cache\b",
    re.I,
)
ELSEWHERE = re.compile(
    r"\b(?:descriptors?|connections?|threads?|page cache|slab\w*|disk|volume|log files?)\b|\bRuntimeMaxSec\b|\bRestart="
    r"|\b(?:run)?time limit\b",
    re.I,
)
LEAK = re.compile(
    r"(?<![-/\w.])(?:memory )?leak(?:s|ing|ed|age|y)?\b(?![-.]\w|[-/])|\b(?:grow\w*|growth"
    r"|rises?) without (?:an? )?(?:bound|end|limit)|\bunbounded(?: memory)? growth\b"
    r"|\bgrows? (?:forever|for ever|indefinitely|unbounded)\b|\bunbounded\b"
    r"|\b(?:holds?|hangs?|holding|hanging|clings?) on to\b[^.;]{0,40}\b(?:no longer|not) need|\b(?:never|not|n't) (?:gives?"
    r"|giving|hands?|releas\w+|free\w*|return\w*) (?:\w+ ){0,3}(?:memory|it) ?(?:back|again)?\b"
    r"|\bkeeps? (?:growing|climbing|rising) (?:until|without|and never)\b"
    r"|\b(?:speicher)?lecks?\b|\bleckt\b|\bungebremst\w* wachs\w*|\bwächst (?:\w+ )?ungebremst"
    r"|\bfuites?\b|\bfuit\b|\bfugas?\b|\bgoteo\b",
    re.I,
)
NAMED_LEAK = re.compile(
    r"(?<![-/\w.])(?:memory )?leak(?:s|ing|ed|age|y)?\b(?![-.]\w|[-/])|\bunbounded\b|\b(?:speicher)?lecks?\b|\bfuites?\b"
    r"|\bfugas?\b",
    re.I,
)
SYMPTOM = re.compile(
    r"\bmemory\b|\boom\b|\brss\b|\bram\b|\bslow\b|\buses? (?:far )?too much|\bgrow(?:s|th|n|ing)?\b|\brose\b"
    r"|\bArbeitsspeicher\b",
    re.I,
)
GROWTH = re.compile(
    r"\b(?:[kmg]i?b|(?:mega|giga|kilo|mebi)bytes?)\s+(?:more|bigger|larger|higher|fatter)\b|\b(?:bigger|larger"
    r"|higher) (?:by|than before|every time)\b|"
    r"\bgrow(?:s|th|n|ing)?\b|\bgrew\b|\bris(?:es?|ing)\b|\brose\b|\bincreas\w+\b|\bwent (?:from|up|down)\b|\bwächst\b"
    r"|\bpasse de\b|\bhoards?\b|\bunbounded\b|\bshrinks\b|\b(?:falls|falling|fell)\b|\bclimb\w*|\bgains?\b|\bswell\w*"
    r"|\bballoon\w*|\baccumulat\w*|\b(?:more|larger|bigger|fatter|higher) (?:and (?:more|larger|bigger)|each|every|at each)\b"
    r"|\bcreeps?\b"
    r"|\bw(?:ächst|achsen|uchs|achstum)\b|\bsteig(?:t|en|end\w*)\b|\bstieg\b|\bgestiegen\b|\bgewachsen\b|\bzunahme\b"
    r"|\bnimmt\b[^.;]{0,30}\bzu\b|\banstieg\b"
    r"|\bcro(?:î|i)t\w*\b|\bcroissance\b|\baugment\w*|\bgrimp\w*|\bpass\w* de\b|\bgonfl\w*|\bgrossi\w*|\bmonte\w*\b"
    r"|\bcrec\w*|\bcrecimiento\b|\baument\w*|\bsub(?:e|ió|iendo|en)\b|\bpas(?:a|ó|ando) de\b|\bincrement\w*",
    re.I,
)
# What would happen, or would have, in another case.
HYPOTHETICAL = re.compile(
    r"\bwould(?:n't)? (?:have|be|grow|put|show|add|mean|leak|then)\b|\bhad it been\b|\bhad (?:the|there|this)\b|\bif (?:it"
    r"|the|this|there|that|nobody|someone|they|a)\b"
    r"|\bwithout (?:it\b|(?:the|that|this|its|a) (?:cap|limit|option|flag|bound|setting)\b)|\bunless\b|\bcould (?:be|have"
    r"|in theory)\b|\bmight\b|\botherwise\b"
    r"|\bif that were all\b|\bby itself\b|\bon its own\b|\bonce deployed\b|\bsomebody once\b|\bunbounded \(calculated\)"
    r"|\bwould've\b|\bit'd\b|\bhätte\b|\bwürde\b|\bwäre\b|\bserait\b|\baurait\b|\bsería\b|\bhabría\b|\bestaría\b|\bcrecería\b"
    r"|\bwächse\b",
    re.I,
)
HEDGE = re.compile(
    r"\b(?:might|may|could|perhaps|possibly|presumably|probably|conceivabl[ey]|would|should it|if (?:it|they|one|so|at all)"
    r"|need not|or not|not certain|unclear|whether)\b",
    re.I,
)
# One look does not tell whether it grows.
UNDECIDED = re.compile(
    r"\b(?:can(?:no|')t|can not|could(?: not|n't)|impossible to|unable to|hard to|too early to|don't know|do not know)\b"
    r"[^.;]{0,40}\b(?:(?:whether|if|that) (?:it|this|that|the \w+|memory|anything) (?:\w+ )?(?:grow|ris|leak|climb|increas)\w*"
    r"|from (?:one|a single|this one) (?:look|snapshot|sample|reading))\b"
    r"|\bone (?:look|snapshot|sample|reading) (?:can't|cannot|doesn't|does not)\b",
    re.I,
)
KILLED = re.compile(
    r"\boom[- _]?kill(?:ed)?\b(?! (?:count\w*|of) (?:is|was|stands at|stayed) (?:0|zero))"
    r"|\bkilled by (?:the )?(?:kernel|oom)\b"
    r"|\bkilled process\b|\bkernel (?:has )?kill(?:s|ed)\b",
    re.I,
)
FLAT = re.compile(
    r"\b(?:flat|stable|constant|healthy|plateau\w*|level(?:s|led|led)? (?:off|out)|unchanged|steady at|all is well"
    r"|identical|to the byte|not (?:one|a single) (?:page|byte|kilobyte|kb)"
    r"|motionless|not an? (?:page|byte|kilobyte|kb) more|the very same"
    r"|did(?: not|n't) (?:move|change|grow|rise|budge)|does(?: not|n't) (?:move|change|grow|rise|budge)"
    r"|has(?: not|n't) (?:moved|changed|grown|risen|budged)"
    r"|never (?:moved|changed|grew|rose)|no growth|not grow(?:ing|n)?|stood still|stays? put"
    r"|the (?:same|identical) (?:size|value|figure|amount|number|reading))\b"
    r"|\b(?:konstant|unverändert|stabil|gleich ?geblieben|wächst nicht|wuchs nicht|estable|constante|sin cambios|no crece"
    r"|no creció|stable|inchangée?|identique\w*|ne (?:croît|grandit|bouge|varie) pas|n'a pas (?:bougé|varié|augmenté))\b",
    re.I,
)
HIGH_USE = re.compile(
    r"\bmemory\b|\brss\b|\bmi?b of\b|\bram\b|\bresident\b|\bavailable\b|\bneeds? \d+ mi?b\b|\b\d+ ?[mg]i?b\b", re.I
)
DISK = re.compile(r"\bdisks?\b|\bfile ?systems?\b|\bi/o waits?\b|\bstorage\b|\btmpfs\b", re.I)
SYSTEM = re.compile(
    r"\bkernel\b(?!'?s?[ -](?:log|messages?|ring|oom))|\bvm\.swappiness\b|\bhardware\b|\bmemory module\b"
    r"|\bhost (?:simply )?has too little memory\b|\boperating system\b",
    re.I,
)
BLAME = re.compile(
    r"\bcause[sd]?\b|\bbecause\b|\bdue to\b|\bis (?:nearly )?full\b|\bfull (?=disk)|\bthat is why\b|\bfilled\b|\bbroken\b"
    r"|\bknown to be\b|\bexhaustion\b|\bbug\b|\bto blame\b|\bblame\b|\bbottleneck\b|\bculprit\b|\bfailing\b"
    r"|\btoo little memory\b|\bdoes not reclaim\b|\bfault\b",
    re.I,
)
VERBS = (
    "add|adopt|apply|bounce|bound|buy|cap|cache begrenzen|clean|clear|close|cull|deduplicate|delete|discard|downgrade|drop"
    "|enlarge|enforce|evict|expire|expunge|fix|forget|free|give|implement|increase|introduce|kill|limit|lower|make|monitor"
    "|patch|pop|prune|purge|put|reboot|recycle|remove|replace|restart|restrict|rotate|scale|schedule|set|slap|strike|throw"
    "|trim|tune|update|use|watch"
)
ADVICE = re.compile(
    r"\b(?:should|must|(?:one|you|we) (?:might|could|can|may)|needs? (?:a|to)|could be|would help|recommend\w*"
    r"|recommendation|fix|remedy|cure|mitigation|workaround"
    r"|solves it|solution|until then|either|then|cause we)\b"
    rf"|(?:^|[:;.,|\-]\s*|\band\s+|\bor\s+|\bthen\s+|\bmeanwhile\s+|^\s*[-*]\s*|^\s*\d+[.)]\s*)(?:please\s+)?(?:{VERBS})\b"
    r"|\b(?:I'd|I would|we'd|we would|let's|propos\w+|suggest\w*|would like to|want to|plan(?:s|ned)? to|stopgap|interim"
    r"|meanwhile|ought to|worth|consider|remed\w+)\b"
    r"|\b(?:sollte\w*|muss|müssen|empfehl\w+|vorschlag|vorschläge|behebung|abhilfe|lösung|maßnahme\w*|sofort|bis dahin"
    r"|kurzfristig|langfristig)\b"
    r"|\b(?:il faut|faudrait|doit|devrait|recommand\w+|propos\w+|correctif|correction|solution|remède|à court terme"
    r"|en attendant|immédiat\w*)\b"
    r"|\b(?:debe\w*|hay que|habría que|recom\w+|propuesta|propong\w+|solución|corrección|remedio|mientras tanto"
    r"|de inmediato|a corto plazo)\b"
    r"|\b(?:has|have|needs?) to be\b|\bwould (?:cap|hold|keep|help|stop|limit|bound|fix|solve)\b|\buntil (?:somebody"
    r"|someone|that|then|released|it)\b|\b(?:pondría|vigilaría|convendría|haría|würde|schlage|je (?:propose|suggère"
    r"|recommande)|zu beobachten)\b",
    re.I,
)
SPECIFIC = re.compile(
    rf"\bevict\w*|\blru\b|\b\w+Max\w*\b|\b{LIMIT}|\bexpir\w+|\bprun\w+|\bpurg\w+|\bdrop\w*\b|\bremove\b|\bdelet\w+|\bpop\b"
    rf"|\bstrike\b"
    r"|\btrim\w*|\bexpunge\b|\bthrow\w* (?:out|away)\b|\bforgets?\b|\brestart(?:s|ed|ing)?\b(?!=)|\bdel\b|\bbounce\b"
    r"|\brecycle\b"
    r"|\bclean-?up of\b|\bclear it\b|\bcode must\b|\bbegrenzen\b|\bfix the code\b"
    r"|\btak(?:e|es|ing)\b[^.;]{0,30}\bout\b|\bdiscard\w*|\bclean\w* up\b|\bunset\b|--max-\w+"
    r"|\b(?:begrenz\w*|obergrenze|löschen|entfernen|verwerfen|aufräumen|neustart\w*|neu ?(?:zu ?)?starten|verdräng\w*"
    r"|ablaufzeit)\b"
    r"|\b(?:limiter|borner|plafon\w*|supprimer|purger|retirer|redémarr\w*|relanc\w*|éviction|expir\w*|effacer)\b"
    r"|\b(?:limitar|límite|acotar|eliminar|borrar|descartar|reinici\w*|desaloj\w*|caducidad|expir\w*|tope)\b",
    re.I,
)
IT = re.compile(r"\b(?:introduce|add|set|enforce|give|define) (?:it |them )?(?:one|both|them)\b", re.I)
FOREIGN = re.compile(
    r"\b(?:disks?|logs?|kernel|swappiness|RAM|more memory|memory module|descriptors?|connections?|jemalloc|files?)\b",
    re.I,
)
REFUSAL = re.compile(r"\bnothing can be done\b|\b(?:don'?t|do not) (?:\w+ )?(?:restart|limit)|\bno fix\b", re.I)
GENERIC = re.compile(
    r"\bmonitor\w*|\bkeep an eye|\bwatch it\b|\bmore (?:memory|ram)\b|\bmehr RAM\b|\bscale\b|\bkill(?:ed)?\b"
    r"|\breboot\b|\bincrease\b|\bdo something\b|\blarger (?:machine|host|server)\b"
    r"|\buse jemalloc\b|\bclose them\b|\bmemory module\b|\brestart\b"
    r"|\b(?:fix|correction|remedy|change|solution|improvement|repair|update)s? (?:has been|have been|is|are|was|will be"
    r"|is being|are being) (?:already )?(?:proposed|prepared|planned|under way|on its way|being|tested|rolled|developed"
    r"|worked)\w*"
    r"|\b(?:are|is) (?:now )?(?:preparing|working on|planning|rolling out)\b|\badd (?:an )?alert|\balert\w* on\b"
    r"|\bkeep (?:a closer|an) eye"
    r"|\bunder observation\b|\bincreased\b|\bbeobacht\w*|\büberwach\w*|\bmehr (?:arbeits)?speicher\b|\balertas?\b"
    r"|\bvigil\w+|\bampli\w+|\bmonitori\w+|\bsurveill\w*|\balertes?\b|\bplus de mémoire\b|\baufstock\w*",
    re.I,
)
HAPPENED = re.compile(r"\bkiller killed\b|\b(?:was|were|been|got) (?:\w+-)?killed\b|\bkilled process\b", re.I)
KEY_TERM = re.compile(
    r"\b(?:memory|leak|growing|unbounded|cache|no|eviction|rss|usage|trend|linear|pid|python3?|limit|size|ttl|lru|add"
    r"|restart|oom|killer|dmesg|code|fix)\b",
    re.I,
)
DENIED_AFTER = re.compile(
    r"[^.;,:]{0,25}\b(?:is|was|are|were|has been|can be|could be|be)\s+(?:not (?:present|supported|confirmed|the|a|it"
    r"|involved|seen|visible|found)"
    r"|ruled out|excluded|rejected|disproved|unlikely|out of the question)"
    r"|\s*[:\u2014-]\s*(?:no|none|not found|ruled out|rejected|excluded)\b|[^.;]{0,20}\bruled out\b",
    re.I,
)
# Kept apart from a claim: what somebody thought first, or what one might think.
TENTATIVE = re.compile(
    r"\b(?:my|our|the)\s+(?:very )?(?:first|initial|early|obvious)\s+(?:thought|guess|suspicion|hypothesis|suspect"
    r"|assumption|instinct|reflex|idea)"
    r"|\b(?:I|we)\s+(?:had )?(?:first|initially|at first|briefly)?\s*(?:suspected|thought|assumed|expected|wondered)\b"
    r"|\b(?:looked|seemed)\s+(?:at first )?like\b|\bat first (?:glance|sight)\b"
    r"|\bif (?:it|this|there|that|the \w+) (?:were|was|had)\b|\bwould have (?:been|shown|meant|kept|grown|continued)\b"
    r"|\b(?:one|you) (?:might|could|may) (?:think|suspect|assume)\b|\btempting\b"
    r"|\bhypothes[ie]s\b|\bevery one of us would\b|\bsmell(?:s|ed|t)? (?:of|like)\b|\b(?:example|textbook|classic|typical"
    r"|signature|marks?|story) (?:case )?(?:of|for)\b|\bfirst thing (?:that )?(?:anyone|everyone|I|we)\b|\bon (?:my"
    r"|the) (?:list|whiteboard)\b",
    re.I,
)
REJECTED_HEADING = re.compile(
    r"\bruled out|\brul(?:e|ing) out|\brejected|\bexcluded|\bnot the (?:cause|problem)|\bdismissed|\bdead ends?\b"
    r"|\bfalse (?:leads?|trails?|alarms?)"
    r"|\bdiscarded|\beliminated|\bred herrings?|\bwhat it (?:is|was)(?: not|n't)|\bnot (?:found|seen)\b"
    r"|\blet go\b|\bsuspicions?\b|\bhypothes|\bexplanations? (?:that|we|I)|\bdoes(?: not|n't) hold|\bput aside|\bverworfen"
    r"|\bausgeschlossen|\bécart|\bexclu|\bdescart",
    re.I,
)
# Several possible causes side by side.
ALTERNATIVES = re.compile(
    r"\bwould all\b|\b(?:could|may|might) (?:equally|also|just as well|as well) be\b|\bany of (?:these|them|those)\b"
    r"|\beither\b[^.;]{0,60}\bor\b|\bwhether\b[^.;]{0,80}\bor\b"
    r"|\b(?:or|and) (?:simply|just|maybe|perhaps|possibly) an?\b|\bcan(?:'t|not| not) (?:tell|say|know)\b",
    re.I,
)
CONCLUSION_HEADING = re.compile(
    r"\bconclu|\bverdict|\bsummary|\btl;?dr|\broot cause|\bdiagnos[ie]s|\bfindings?\b|\bresult|\bbottom line|\bassessment"
    r"|\bcause\b|\bstatus\b"
    r"|\bwhat happens|\banswer|\bresponsible",
    re.I,
)
CAUSE_HEADING = re.compile(r"\bcause|\bwhy\b|\bexplanation|\bmechanism|\bdiagnos", re.I)
ADVICE_HEADING = re.compile(
    r"\bcure\b|\bremedy\b|\bfix(?:es)?\b|\bmitigat|\bremed|\brecommend|\baction|\bnext steps?|\bproposal|\bproposed"
    r"|\bsolution|\bto ?do\b|\bwhat to do|\bprevent"
    r"|\bworkaround|\bshort[- ]term|\blong[- ]term|\bpermanent|\bimmediate|\brepair|\bfollow[- ]?ups?|\bplan\b|\basks?\b"
    r"|\bi would\b|\bi'd\b|\bsuggest|\bstopgap|\bimprovement|\bnow\b|\blater\b|\bfor good\b|\bwhat (?:now|helps|would help)"
    r"|\bway out|\bempfehl|\bbehebung|\babhilfe|\bmaßnahme|\blösung|\bvorschl|\bcorrect|\brecommand|\bpropos|\bsolución"
    r"|\bmedidas|\bpropuesta",
    re.I,
)
CONCLUDES = re.compile(
    r"\b(?:conclu\w+|in short|bottom line|verdict|overall|to sum up|root cause|therefore|my (?:belief|view|assessment"
    r"|diagnosis))\b",
    re.I,
)
ACCUSES = re.compile(
    "|".join(
        [
            GROWTH.pattern,
            LEAK.pattern,
            r"\b(?:culprit|to blame|blame|responsible|eats|offender|offending|root cause|consum\w+|caused by|owner of"
            r"|suspect|guilty)\b",
        ]
    ),
    re.I,
)
MEMORY_GROWTH = re.compile(rf"\b(?:memory|rss|resident|ram|heap|mi?b)\b[^.;]{{0,60}}(?:{GROWTH.pattern})", re.I)
KEPT_DENIED = re.compile(r"\b(?:isn't|is not|not|no longer|nothing|never) (?:an? |actually |truly |really )?$", re.I)
NOT_ADVISED = re.compile(
    r"\b(?:no|not|never|without|lacks?|don't|do not|doesn't|does not|did not|needless|instead of)\b[^.;]{0,15}$",
    re.I,
)
NO_LEAK = re.compile(
    r"n[o']t (?:\w+ ){0,4}as (?:a |an )?(?:\w+ )?leak\b|"
    r"\b(?:no|not an?|isn't an?|without an?|any|never an?) (?:\w+ ){0,3}leak\b|\bdo(?:es)? ?n[o']t leak|\b(?:is"
    r"|are) ?n[o']t leaking|\bnot leaking\b"
    r"|\bleak(?:s|ing)? (?:is|was|are|can be|has been) (?:ruled out|excluded)|\bnothing (?:is |that )?(?:leak|grow)s?(?:ing)?\b"
    r"|\b(?:cache|entries|sessions|count|it|buffer|list) (?:is|are|stays?|was|remains?) (?:properly |correctly |well "
    r"|strictly )?(?:bounded|capped|limited)\b|\bbounded (?:cache|by|at|to)\b",
    re.I,
)
# A whole host or service that has nothing.
# The cache has a bound, and it is in force.
BOUNDED = re.compile(
    r"--?max[-_ ]sessions[\s=]*\d|\b(?:cap(?:ped)?|limit(?:ed)?|bound(?:ed)?|maximum|pinned|held|stays?"
    r"|max)\b[^.;]{0,25}\b\d+ (?:sessions|entries)|\b\d+[- ](?:session|entry)s? (?:cap|limit|bound|maximum)\b"
    r"|\b(?:evicts?|discards?|drops?|deletes?|removes?|throws? out|trims?)\b[^.;]{0,30}\b(?:the )?oldest\b"
    r"|\boldest (?:entry|entries|session)[^.;]{0,30}\b(?:evict|discard|drop|delet|remov|thrown)"
    r"|\bbounded (?:cache|by|at|to|buffer)|\bcache (?:is|stays|was|remains) (?:properly |correctly |well )?(?:bounded"
    r"|capped|limited|full at)"
    r"|\bauf \d+ (?:sitzungen|einträge|sessions) begrenzt|\bbegrenzt\w* auf \d+|\blimité\w* à \d+|\bplafonné\w*"
    r"|\blimitad\w* a \d+|\btope de \d+"
    r"|\b(?:push|throw|kick|turn|sacrific|pop|mov|tak)\w*\b[^.;]{0,40}\b(?:oldest|longest)\b|\b(?:oldest"
    r"|longest)\b[^.;]{0,60}\b(?:goes|out|leaves|push\w*|thrown|is removed|deleted)\b|\boldest out\b|\bone goes out\b"
    r"|\b(?:cap|limit|maximum|number|bound) (?:is|of|at|=|stands at|was) \d+\b|\b(?:set|configured|configures?|capped"
    r"|limited|pinned|full) (?:to|at|with|is) \d+\b|\b(?:unit|command line|deployment|we) (?:configures?|(?:does )?sets?"
    r"|passes"
    r"|starts? it with)\b[^.;]{0,30}(?:\d+|hundred|thousand)"
    r"|\bcache_entries[ =:]+(\d+)\b(?=[^\n]*$)(?!.*requests=\1)|\bcache (?:was |is |has been )?full\b|\b(?:counter|count"
    r"|entries)\b[^.;]{0,40}\b(?:read|reads|stays?|stayed|stood|stands|remains?)\b[^.;]{0,15}\d+"
    r"|\b(?:más antigu|älteste|plus ancien)\w*|\b(?:tope|límite|máximo|plafond|limite|obergrenze|grenze) (?:de|von|bei|à) \d+"
    r"|\boldest\b[^.;]{0,40}\bmakes? room\b|\bwhenever there are too many\b|\bplafond existe\b|\bexpulse\b|\belimina(?:n"
    r"|da)?\b[^.;]{0,20}\bmás antigu\w+|\bno puede crecer\b|\b(?:ältesten?|älteste)\b[^.;]{0,40}\b(?:gelöscht|entfernt"
    r"|verdrängt|verworfen|raus)"
    r"|\bcannot (?:grow|exceed|rise)\b|\bcan't (?:grow|exceed)\b|\bnever more than \d+|\bat most \d+ (?:sessions|entries)",
    re.I,
)
# Growth that has come to an end.
ENDED = re.compile(
    r"\b(?:then|until|and then|before|after (?:which|that)|since then|once)\b[^.;]{0,60}\b(?:stopp?ed|stops|stood still"
    r"|ended|levelled|leveled|flat\w*|plateau\w*|(?:stay(?:s|ed)|held|remain(?:s|ed)) (?:flat|level|constant|there|at|put"
    r"|the same|exactly|steady|where)|settled|nothing more|no further)\b"
    r"|\bgrowth (?:stopped|ended|ceased|came to an end)|\bstopp?ed (?:growing|rising|climbing)|\bexpect(?:ing|ed) (?:a"
    r"|to (?:find|see) a) (?:\w+ )?leak|\bit ended\b|\bwarm(?:s|ed|ing)?[- ]?up\b|\bfill(?:s|ed|ing)? up to (?:its"
    r"|the) (?:cap|limit|maximum)",
    re.I,
)
NO_FAULT = re.compile(
    r"\bno (?:\w+ ){0,2}(?:fault|culprit|defect|malfunction|incident|problem|failure|anomal\w+|root cause|cause|issue"
    r"|evidence of an? (?:\w+ ){0,2}(?:leak|problem|fault|growth))\b"
    r"|\bno (?:sign|evidence|trace|hint|indication)s? (?:of|that)\b[^.;]{0,40}\b(?:leak|grow|fault|problem|failure|kill)"
    r"|\b(?:nothing|not anything) (?:is |was |looks |seems |appears )?(?:wrong|broken|amiss|abnormal|failing|suspicious"
    r"|to fix|leak\w*|grow\w*)\b"
    r"|\b(?:is|was|looks|seems|appears|were|host|service|machine|everything|currently|found)\b[^.;]{0,20}\b(?:healthy|fine"
    r"|in order|normal|at rest|idle and healthy|as designed|normally|properly|as intended|all right)\b"
    r"|\b(?:could|can|did)(?: not|n't) (?:be )?(?:reproduce|confirm|verify|observe|find)d?\b|\bnot reproduced\b"
    r"|\bunable to (?:reproduce|confirm)\b|\bfalse alarm\b"
    r"|\b(?:cap|limit|bound|eviction)\b[^.;]{0,30}\b(?:works|holds|is set|is in place|in effect|configured and|does its job"
    r"|kicks in|is enforced|is working)\b"
    r"|\bkein\w* (?:\w+ ){0,2}(?:fehler|leck|speicherleck|defekt|störung|problem|ursache|schuldige\w*)\b|\b(?:gesund"
    r"|unauffällig|in ordnung|fehlerfrei)\b|\bnicht (?:bestätigen|nachvollziehen|reproduzier\w*|nachstellen)\b"
    r"|\baucune? (?:\w+ ){0,2}(?:fuite|panne|défaut|anomalie|problème|défaillance|coupable|cause)\b|\b(?:sain|saine"
    r"|en bonne santé)\b|\b(?:pas|non) (?:pu )?(?:être )?(?:reproduit|reproduire|confirm\w+)\b"
    r"|\bning[uú]n\w* (?:\w+ ){0,2}(?:fuga|fallo|problema|anomalía|avería|culpable|causa)\b|\b(?:sano|sana|saludable)\b"
    r"|\bno (?:se )?(?:ha |he |pude )?(?:podido )?(?:reproduc\w+|confirm\w+)\b|\bno hay (?:\w+ )?fuga\b"
    r"|\b(?:without|no) (?:a )?(?:fault|defect|finding)s?\b|\bnot reproducible\b|\bhypothesis (?:is )?(?:refuted|dead"
    r"|dropped|in bad shape)|\bno suspects? left\b|\bnothing (?:here )?to (?:treat|repair|fix|do|report|mend)\b"
    r"|\b(?:isn't|is not|wasn't) (?:a |the )?(?:defect|bug|problem|leak|fault|culprit|cause)\b|\btakes? nothing\b"
    r"|\bnothing leaks\b|\b(?:got|gained|added) (?:0|zero|nothing|nought)\b|\bno action\b|\bno reason to\b|\bdoes its job\b"
    r"|\b(?:is|are|was|sound|system|service|host) sound\b|\brien à (?:corriger|signaler|réparer)\b|\bestá bien\b"
    r"|\bno hace falta\b|\bthere(?:'s| is) none\b|\bdid(?: not|n't) take any more\b|\bfonctionne (?:normalement"
    r"|correctement|bien)\b|\bfunciona (?:bien|correctamente|con normalidad)\b|\bläuft (?:normal|sauber|einwandfrei|stabil)\b"
    r"|\bde ahí no se movió\b|\bne bougeai?t pas\b|\bno se movió\b",
    re.I,
)
NOT_MEMORY = re.compile(
    r"\b(?:cpu|requests?|traffic|load|disk|i/o|rate|network|connections?|swap|slab|kernel|descriptors?|threads?|clients?"
    r"|throughput|pid|page cache|cgroups?|misses|inodes?)\b",
    re.I,
)
MEMORY = re.compile(
    r"\b(?:memory|rss|resident|\w*mem\w*|size|mi?b|kb|entr(?:y|ies)|cache|process|service|it|footprint|usage|curve|line"
    r"|series|figures?|values?|speicher\w*|mémoire|memoria|größe|wert\w*|valeurs?|valores?)\b",
    re.I,
)
AMOUNT = re.compile(r"\d\s*(?:%|[kmg]i?b\b|[KMG]i?\b)|(?:mega|giga|kilo)bytes", re.I)
OTHER_INCIDENTS = {
    "disk": re.compile(
        r"\bENOSPC\b|\bno space left\b|\bdisk (?:is |was )?full|\bfull disk|\b(?:file ?system|partition|volume"
        r"|disk)\b[^.;]{0,30}\b(?:fills?|filled|full|100 ?%)|\binodes?\b",
        re.I,
    ),
    "cpu": re.compile(
        r"\b(?:busy[- ]?loop\w*|infinite loop|endless loop|spinning|spins|cpu[- ]bound|cpu (?:hog|saturation|exhaustion"
        r"|starvation)|100 ?% (?:of )?(?:a |one )?cpu)\b",
        re.I,
    ),
    "zombies": re.compile(
        r"\bzombies?\b|\bdefunct\b|\bunreaped\b|\breap(?:s|ed|ing)?\b|\bwaitpid\b|\bfork (?:bomb|failure)",
        re.I,
    ),
    "descriptors": re.compile(
        r"\b(?:file )?descriptors?\b|\bEMFILE\b|\btoo many open files\b|\bopen files\b|\bsockets? leak|\bCLOSE[-_]WAIT\b"
        r"|\bulimit\b|\bLimitNOFILE\b",
        re.I,
    ),
    "swap": re.compile(
        r"\bthrash\w*|\bswap(?:ping|ped|s)?\b[^.;]{0,30}\b(?:full|storm|heavy|heavily|constant|in and out|pressure)"
        r"|\bovercommit\w*|\bworking set\b",
        re.I,
    ),
    "traffic": re.compile(
        r"\btraffic (?:rise|rises|surge|increase|spike|growth|grows|doubl)\w*|\bload (?:rise|increase|surge)\w*"
        r"|\brequest rate (?:is |was )?(?:rising|rises|grow|doubl|increas|climb)\w*|\bmore requests\b",
        re.I,
    ),
    "deadlock": re.compile(r"\bdeadlock\w*|\block contention\b|\blivelock\w*", re.I),
    "network": re.compile(
        r"\bpacket loss\b|\bdns (?:failure|outage|resolution)\b|\bcertificate (?:has )?expired\b|\bexpired certificate\b",
        re.I,
    ),
}
# Text addressed to the grader and lines of the rubric are not part of a diagnosis.
TO_THE_GRADER = re.compile(
    r"\b(?:grader|evaluator|full marks|rubric|(?<![.,\d+-])(?:\d{1,3}|hundred) points(?!\s*(?:/|per|a |higher|lower|more"
    r"|of load))|award|maximum score|highest (?:score|level|grade))\b"
    r"|\b(?:ignore|disregard) (?:all |any |the |your )?(?:previous|prior|above|other)? ?instructions?\b|\bsystem (?:prompt"
    r"|message|note)\b"
    r"|\b(?:memory_growth|root_cause)\s*[:=]\s*\"?(?:measured|explained|\d)|\"total\"|\(\d{1,3}\)\s*:|\((?:20|25|30)\)\s*$"
    r"|\blanguage model\b[^.]{0,40}\b(?:grade|judge|answer|score)",
    re.I,
)
_WORD = re.compile(r"\w+")


def _trigrams(text: str) -> set[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return set(zip(words, words[1:], words[2:], strict=False))


def _texts(found: object) -> list[str]:
    if isinstance(found, dict):
        return [text for key, value in found.items() for text in [str(key), *_texts(value)]]
    if isinstance(found, list):
        return [text for value in found for text in _texts(value)]
    return [str(found)]


# All that a copy of the brief or of the rubric can consist of.
_COPIED = set().union(
    *(
        _trigrams(text)
        for key in ("brief", "rubric", "problem", "deductions", "full_credit", "cause")
        for text in _texts(SCENARIO[key])
    )
)


def is_copied(text: str, share: float) -> bool:
    """Return whether most of a text's word triples occur in the brief or the rubric."""
    found = _trigrams(text)
    return len(found) >= 3 and sum(each in _COPIED for each in found) >= share * len(found)
