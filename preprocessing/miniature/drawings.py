"""The drawings of all object classes of the miniature world.

A drawing is a text with lines `colour shape numbers`, painted in their order. Coordinates are in a unit box, x to the
right and y down; y = 1 is the bottom of the object.
Colours: `main` (the object's own colour), `dark` and `light` (shades of it), or a key of `things.COLOURS`. Shapes:

    ellipse x0 y0 x1 y1      rect x0 y0 x1 y1      poly x y x y ...      line width x y x y ...
"""

DRAWINGS = {
    "dog": """
        dark line .07 .16 .58 .04 .34
        dark rect .24 .62 .33 .98
        dark rect .62 .62 .71 .98
        main ellipse .12 .42 .76 .76
        main rect .15 .62 .25 1
        main rect .53 .62 .63 1
        main ellipse .58 .12 .92 .54
        light ellipse .80 .28 1 .50
        black ellipse .94 .28 1 .36
        dark poly .60 .14 .70 .12 .73 .46 .62 .50
        black ellipse .77 .22 .83 .29
    """,
    "tree": """
        wood poly .43 .52 .57 .52 .62 1 .38 1
        wood line .04 .5 .7 .66 .52
        dark ellipse .04 .22 .56 .66
        dark ellipse .46 .24 .98 .66
        main ellipse .16 .00 .84 .52
        light ellipse .26 .06 .56 .30
    """,
    "man": """
        steel rect .24 .58 .46 .97
        steel rect .54 .58 .76 .97
        black rect .20 .94 .46 1
        black rect .54 .94 .80 1
        skin ellipse .02 .52 .16 .62
        skin ellipse .84 .52 .98 .62
        dark poly .04 .30 .22 .26 .18 .56 .02 .56
        dark poly .96 .30 .78 .26 .82 .56 .98 .56
        main poly .20 .25 .80 .25 .78 .62 .22 .62
        skin ellipse .28 .02 .72 .25
        black poly .26 .12 .28 .03 .50 -.01 .72 .03 .74 .12 .62 .07 .38 .07
    """,
    "car": """
        main poly .22 .10 .66 .10 .84 .46 .12 .46
        glass poly .26 .17 .43 .17 .43 .44 .19 .44
        glass poly .47 .17 .63 .17 .75 .44 .47 .44
        main poly .02 .44 .94 .42 1 .56 1 .80 .02 .80
        dark rect .02 .68 1 .80
        yellow ellipse .92 .48 1 .62
        black ellipse .12 .60 .34 1.02
        black ellipse .66 .60 .88 1.02
        gray ellipse .18 .71 .28 .91
        gray ellipse .72 .71 .82 .91
    """,
    "house": """
        dark rect .70 .06 .80 .30
        main rect .10 .40 .90 1
        brown poly .00 .44 .50 .02 1 .44
        glass rect .18 .52 .38 .72
        white line .02 .28 .52 .28 .72
        white line .02 .18 .62 .38 .62
        wood rect .56 .58 .76 1
        yellow ellipse .70 .78 .74 .83
    """,
    "bird": """
        dark poly .00 .40 .30 .42 .26 .66
        main ellipse .16 .34 .78 .78
        main ellipse .62 .20 .90 .52
        orange poly .87 .30 1.02 .38 .87 .42
        dark poly .28 .50 .62 .46 .44 -.06 .18 .02
        light ellipse .34 .56 .68 .76
        black ellipse .76 .28 .82 .35
    """,
    "cat": """
        dark line .08 .22 .92 .04 .80 .08 .52 .16 .44
        main ellipse .18 .44 .72 1
        main rect .50 .66 .60 1
        main rect .62 .66 .72 1
        main ellipse .46 .10 .94 .52
        main poly .48 .26 .50 -.02 .66 .14
        main poly .92 .26 .90 -.02 .74 .14
        light ellipse .60 .32 .80 .48
        green ellipse .56 .24 .65 .33
        green ellipse .75 .24 .84 .33
        black ellipse .59 .25 .62 .33
        black ellipse .78 .25 .81 .33
        black poly .66 .36 .74 .36 .70 .41
    """,
    "boat": """
        wood rect .47 .02 .51 .76
        white poly .53 .04 .92 .62 .53 .62
        light poly .45 .12 .45 .62 .14 .62
        main poly .00 .70 1 .70 .84 1 .16 1
        dark poly .03 .77 .97 .77 .94 .84 .07 .84
    """,
    "ball": """
        main ellipse .00 .00 1 1
        white poly .40 .02 .60 .02 .72 .50 .60 .98 .40 .98 .28 .50
        dark line .04 .02 .52 .30 .62 .70 .62 .98 .52
        light ellipse .12 .14 .32 .34
    """,
    "flower": """
        leaf line .09 .50 .40 .48 1
        leaf ellipse .50 .62 .92 .78
        leaf ellipse .08 .70 .48 .86
        main ellipse .30 .00 .70 .26
        main ellipse .30 .26 .70 .52
        main ellipse .02 .13 .44 .39
        main ellipse .56 .13 .98 .39
        dark ellipse .10 .04 .46 .24
        dark ellipse .54 .28 .90 .48
        yellow ellipse .34 .16 .66 .36
        orange ellipse .42 .21 .58 .31
    """,
    "woman": """
        brown ellipse .18 .00 .82 .38
        skin rect .34 .80 .46 .97
        skin rect .54 .80 .66 .97
        black rect .30 .95 .46 1
        black rect .54 .95 .70 1
        skin line .10 .30 .34 .10 .56
        skin line .10 .70 .34 .90 .56
        main poly .30 .27 .70 .27 .66 .50 .96 .84 .04 .84 .34 .50
        dark rect .33 .48 .67 .53
        skin ellipse .30 .04 .70 .27
        brown poly .28 .14 .32 .02 .68 .02 .72 .14 .50 .08
    """,
    "table": """
        dark rect .16 .24 .23 .92
        dark rect .77 .24 .84 .92
        main rect .05 .20 .13 1
        main rect .87 .20 .95 1
        main poly .10 .02 .90 .02 1 .18 .00 .18
        dark rect .00 .18 1 .27
    """,
    "horse": """
        black line .06 .12 .40 .02 .56 .06 .78
        dark rect .24 .58 .31 1
        dark rect .62 .58 .69 1
        main ellipse .08 .32 .76 .68
        main rect .14 .56 .22 1
        main rect .54 .56 .62 1
        main poly .56 .46 .76 .08 .92 .12 .76 .56
        main poly .74 .06 1 .24 .96 .34 .74 .26
        main poly .74 .10 .77 -.04 .83 .08
        black line .06 .56 .38 .66 .18 .75 .06
        black ellipse .82 .12 .86 .17
    """,
    "kite": """
        gray line .03 .50 .66 .42 .78 .56 .88 .46 1
        main poly .50 .00 1 .30 .50 .70 .00 .30
        dark poly .50 .00 1 .30 .50 .30
        dark poly .50 .70 .00 .30 .50 .30
        white poly .42 .80 .42 .88 .50 .82 .58 .76 .58 .84
        white line .02 .50 .00 .50 .70
    """,
    "chair": """
        dark rect .20 .58 .29 .94
        dark rect .84 .58 .92 .94
        main rect .06 .00 .17 1
        main rect .06 .02 .20 .56
        dark rect .10 .10 .15 .48
        main poly .06 .50 .80 .50 .96 .62 .12 .62
        dark rect .12 .62 .96 .68
        main rect .70 .64 .80 1
    """,
    "cup": """
        dark ellipse .60 .26 1.02 .78
        light ellipse .70 .38 .92 .66
        main poly .04 .14 .78 .14 .68 .98 .14 .98
        dark ellipse .04 .02 .78 .26
        wood ellipse .10 .06 .72 .22
        light poly .12 .34 .20 .34 .26 .84 .20 .84
    """,
    "bicycle": """
        black ellipse .00 .38 .42 1
        glass ellipse .05 .45 .37 .93
        black ellipse .58 .38 1 1
        glass ellipse .63 .45 .95 .93
        main line .06 .21 .69 .36 .30 .66 .30 .46 .70 .21 .69
        main line .06 .36 .30 .46 .70
        main line .06 .79 .69 .66 .30 .63 .10
        black line .06 .58 .10 .72 .08
        black ellipse .26 .16 .46 .28
    """,
    "umbrella": """
        wood rect .48 .10 .53 1
        main poly .00 .46 .06 .26 .22 .10 .50 .03 .78 .10 .94 .26 1 .46
        white poly .34 .46 .40 .20 .50 .03 .60 .20 .66 .46
        dark poly .00 .46 .06 .26 .22 .10 .12 .30 .12 .46
        dark poly .88 .46 .88 .30 .78 .10 .94 .26 1 .46
    """,
    "bus": """
        main rect .00 .08 1 .84
        light rect .00 .08 1 .15
        glass rect .05 .22 .20 .50
        glass rect .24 .22 .39 .50
        glass rect .43 .22 .58 .50
        glass rect .62 .22 .77 .50
        glass rect .82 .22 .99 .76
        dark rect .00 .60 .79 .66
        black ellipse .12 .66 .30 1.02
        black ellipse .68 .66 .86 1.02
        gray ellipse .17 .76 .25 .92
        gray ellipse .73 .76 .81 .92
    """,
    "balloon": """
        gray line .03 .50 .70 .44 .82 .54 .90 .48 1
        main ellipse .02 .00 .98 .70
        main poly .42 .76 .58 .76 .50 .66
        light ellipse .20 .10 .42 .34
    """,
    "sheep": """
        shade rect .22 .66 .30 1
        shade rect .36 .66 .44 1
        shade rect .56 .66 .64 1
        shade rect .68 .66 .76 1
        main ellipse .06 .30 .44 .78
        main ellipse .24 .20 .62 .74
        main ellipse .44 .26 .82 .80
        main ellipse .20 .42 .72 .86
        shade ellipse .70 .22 .96 .58
        main ellipse .70 .14 .90 .34
        shade ellipse .64 .30 .76 .40
        white ellipse .84 .32 .90 .39
    """,
    "airplane": """
        dark poly .02 .10 .14 .10 .24 .44 .10 .46
        main poly .04 .40 .80 .34 .96 .46 1 .54 .92 .64 .20 .66
        dark poly .58 .38 .68 .36 .52 .06 .44 .06
        dark poly .40 .54 .66 .54 .40 1 .28 1
        glass poly .84 .40 .94 .46 .84 .48
        glass ellipse .30 .44 .36 .52
        glass ellipse .42 .44 .48 .52
        glass ellipse .54 .44 .60 .52
        glass ellipse .66 .44 .72 .52
    """,
    "train": """
        main rect .62 .02 .92 .72
        glass rect .68 .12 .86 .38
        main rect .08 .30 .64 .72
        dark ellipse .02 .30 .18 .72
        dark rect .16 .04 .27 .32
        gray rect .14 .00 .29 .08
        yellow ellipse .42 .18 .54 .36
        dark rect .00 .68 .98 .80
        black ellipse .06 .66 .22 1
        black ellipse .26 .66 .42 1
        black ellipse .46 .66 .62 1
        black ellipse .68 .62 .88 1
        red line .03 .14 .83 .78 .83
    """,
    "lamp": """
        steel rect .46 .40 .54 .94
        steel ellipse .22 .88 .78 1
        main poly .28 .02 .72 .02 1 .46 .00 .46
        light poly .36 .02 .50 .02 .46 .46 .22 .46
    """,
    "tent": """
        main poly .46 .02 .54 .02 1 1 .00 1
        dark poly .54 .02 1 1 .72 1
        shade poly .48 .26 .66 1 .32 1
        light poly .48 .26 .32 1 .22 1
        wood line .03 .50 .06 .50 -.04
    """,
    "duck": """
        main poly .00 .46 .24 .58 .22 .86
        main ellipse .08 .46 .80 1
        main ellipse .54 .04 .90 .52
        main poly .56 .34 .82 .40 .78 .70 .50 .70
        orange poly .87 .22 1.06 .30 .87 .38
        dark ellipse .22 .56 .60 .84
        black ellipse .72 .17 .79 .26
    """,
    "mushroom": """
        white poly .38 .44 .62 .44 .68 1 .32 1
        main poly .00 .56 .04 .30 .24 .08 .50 .00 .76 .08 .96 .30 1 .56
        dark rect .02 .52 .98 .58
        white ellipse .18 .22 .34 .38
        white ellipse .44 .08 .60 .24
        white ellipse .66 .26 .82 .42
    """,
    "clock": """
        steel poly .16 1 .28 .80 .38 .86 .30 1
        steel poly .84 1 .72 .80 .62 .86 .70 1
        main ellipse .04 .14 .96 .94
        gray ellipse .06 .02 .40 .26
        gray ellipse .60 .02 .94 .26
        main ellipse .04 .14 .96 .94
        white ellipse .14 .23 .86 .85
        black line .06 .50 .54 .50 .30
        black line .05 .50 .54 .70 .62
        red ellipse .45 .50 .55 .59
    """,
    "guitar": """
        wood rect .43 .06 .57 .60
        dark rect .38 .00 .62 .12
        main ellipse .16 .46 .84 .74
        main ellipse .02 .62 .98 1
        shade ellipse .34 .58 .66 .74
        white rect .32 .84 .68 .88
        white line .02 .50 .08 .50 .86
    """,
    "snowman": """
        wood line .05 .12 .34 .30 .48
        wood line .05 .88 .34 .70 .48
        light ellipse .02 .58 .98 1
        main ellipse .14 .34 .86 .70
        light ellipse .26 .13 .74 .42
        black rect .30 .00 .70 .16
        black rect .18 .14 .82 .19
        red poly .26 .38 .74 .38 .72 .44 .28 .44
        orange poly .50 .26 .76 .31 .50 .33
        black ellipse .38 .21 .45 .26
        black ellipse .56 .21 .63 .26
        black ellipse .46 .50 .54 .55
        black ellipse .46 .60 .54 .65
    """,
}
