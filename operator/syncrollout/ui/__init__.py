"""The read-only web page that the operator serves: what it shows, from where, to whom. The files of the page itself are
in `static/`, as they are served: there is nothing to build.
"""
