"""English words that say nothing of a chunk, and words for places."""

from __future__ import annotations

__all__ = [
    "DULL_ADJECTIVES",
    "DULL_NOUNS",
    "DULL_VERBS",
    "EMPTY_NOUNS",
    "KNOWN_PLACES",
    "PLACES",
    "SPEECH",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What any story has; with a telling adjective some of them do make a topic.
DULL_NOUNS = _words("""
    man men woman women people person persons boy boys girl girls child children fellow
    gentleman gentlemen lady ladies sir madam friend friends mother father son daughter brother
    sister wife husband uncle aunt cousin face faces eye eyes hand hands head heads arm arms
    foot feet leg legs finger fingers mouth lip lips hair nose ear ears neck shoulder shoulders
    back heart breast throat knee knees body voice voices mind soul room rooms house houses home
    door doors window windows table chair bed floor wall walls life world night morning evening
    afternoon noon midnight dawn summer winter autumn spring country town place places street
    road work love business money name names story word words air light sound water ground fire
""")
EMPTY_NOUNS = _words("""
    act acts detail details share ray rank inconvenience hearing desires tongue canst couldst
    wouldst shouldst didst dost doth thou thee thy thine hast hath wilt shalt hev reply tone
    length return smile sigh surprise cry upstairs downstairs pocket pockets seat understanding
    mode opinion breaths time times thing things day days way ways nothing something anything
    everything everyone everybody someone somebody anyone anybody nobody none one ones other
    others kind kinds sort sorts lot lots bit bits part parts piece pieces side sides end ends
    rest half moment moments minute minutes hour hours week weeks month months year years
    instant second seconds while case cases fact facts matter matters point points question
    questions reason reasons answer manner number numbers sense idea ideas thought thoughts
    feeling turn course deal use sake account mine yours hers theirs ours front middle bottom
    top right left form forms line lines step steps order sight spite need want wish hope doubt
    fear fault pleasure pardon chance effect instance example degree extent trouble subject
    object care attention interest regard notice look looks show talk call play stop go try let
    make mean feel find hold run walk mile miles yard yards inch inches dozen hundred thousand
    couple pair age today tomorrow yesterday tonight rights change position distance corner
    expression appearance round presence oclock member members surface wonder say says said don
    won isn aren wasn couldn didn ain yes no ah oh everywhere anywhere somewhere nowhere sudden
    contrary opposite latter former least most re ll ve till
""")
DULL_ADJECTIVES = _words("""
    thy thine frank other such own same many much more most few several some any all last first
    second third next former latter whole entire certain sure able ready good better best great
    little large big small long short old young new mere very only possible impossible necessary
    usual general particular different like likely dear poor fine nice real true right wrong
    full open good-bye worth due aware alone alive afraid glad sorry various numerous
    considerable single double half quarter present past late early further above following ill
    well even least bad worse worst high low deep fair happy clear enough what which whose every
    each another
""")
DULL_VERBS = _words("""
    sound face step miss proceed arise post match attend end hev be have do say go see come look
    know get think take make give tell seem begin find ask leave sit stand hear feel turn want
    call put keep let lie speak bring pass hold talk become try mean grow fall understand set
    wish believe stop answer use break wait lose lead happen meet reach appear show suppose
    return stay please start continue lay expect consider receive live move run raise cut open
    close cross drop reply add fill ai allow change fix like dare remain notice mention belong
    prove fit exist place perceive suffer admit guess approach serve fail cease concern accord
    determine require cause produce decide express imagine remember forget send pull draw fetch
    arrive enter rise hang spend play observe shall will would may might must can could should
    need ought help follow wear carry pick touch hit intend regard contain include compare
    relate form bear strike occur remark pay point present cover finish beg hope love hate
    provide possess own render hasten thank excuse pardon swear vow oblige attempt appoint
    exclaim cry inquire seek interrupt assure refer intimate assert declare opine care matter oh
    sir
""")
# A noun after these speaks, as a rule: "muttered Tom".
SPEECH = _words("""
    mutter murmur whisper shout scream shriek laugh smile sigh sob gasp growl groan roar snap
    bark sneer grin chuckle stammer falter moan bellow yell drawl snarl hiss nod call
""")
# Where things happen. Not room, door, bar, court: what is said of these is no place.
PLACES = _words("""
    manor abbey bay county strait garden street streets forest woods wood yard kitchen office
    station church hall shop river sea lake town village city country castle palace tower tavern
    inn hotel cabin boat ship deck carriage train stable barn field fields meadow meadows valley
    hill hills mountain mountains island beach shore coast desert jungle swamp marsh moor cave
    cellar attic bedroom library parlor parlour drawing-room dining-room sitting-room nursery
    dormitory school university college hospital prison jail cell courtyard market park bridge
    harbour harbor port dock docks cemetery graveyard churchyard tomb monastery convent
    cathedral chapel temple theatre theater club restaurant café cafe saloon factory mill mine
    camp tent battlefield trench fort fortress farm orchard vineyard cottage hut corridor
    passage staircase stairs landing balcony terrace veranda porch ranch prairie canyon lane
    road highway alley avenue pit crater laboratory museum apartment lodge villa mansion
    farmhouse lighthouse schoolroom ballroom bathroom barracks waiting-room
""")
# Nobody is called so.
KNOWN_PLACES = _words("""
    England Scotland Ireland Britain France Germany Prussia Austria Italy Spain Portugal Holland
    Belgium Switzerland Denmark Sweden Norway Finland Russia Poland Hungary Bohemia Greece
    Turkey Europe Asia Africa America Australia India China Japan Persia Arabia Egypt Mexico
    Canada Brazil Peru Siberia London Paris Berlin Vienna Rome Venice Naples Madrid Moscow
    Petersburg Constantinople Jerusalem Cairo Chicago Boston Philadelphia California Texas
    Edinburgh Dublin Liverpool Manchester Yorkshire
""")
