/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Terms that come with the hub, in our own words. A gate may ask for them as they are, or an owner may copy and change
 * them. A text that was shipped is never edited here: people have accepted it. A change is a further version.
 */
#include "terms/internal.h"

#define NOT_ADVICE_EN "This text came with the hub as a starting point. It is not legal advice.\n"
#define NOT_ADVICE_DE "Dieser Text kam mit dem Hub als Ausgangspunkt. Er ist keine Rechtsberatung.\n"

static const struct template
{
    const char *slug, *kind, *en, *de;
}
templates[] = {
    {"responsible-use", "aup",
     "# Responsible use\n\n"
     "You may use, study and change this model and what it makes, within these rules.\n\n"
     "1. You must not use it to harm or exploit people, above all children, or to help others do so.\n"
     "2. You must not use it to harass, to defame, to make sexual images of real people without their consent, or to "
     "pass what it makes off as the words or deeds of a real person.\n"
     "3. You must not use it to design or build weapons that can kill many people, or to attack computers that are not "
     "yours without their owners' permission.\n"
     "4. You must not let it decide alone about a person's liberty, health, home, work, credit or schooling. A human "
     "being who can change the outcome must look at each such decision.\n"
     "5. You must tell people that they deal with a machine where they could believe otherwise.\n"
     "6. You must keep to the laws that apply where you are and where your users are.\n"
     "7. Whoever you pass the model on to must accept these rules too.\n"
     "8. If you learn of a serious harm that the model has done or made possible, you must tell the owner of this repo "
     "within ten days.\n\n"
     "If you break these rules your access can be suspended or revoked. You will be told why, and you can "
     "appeal.\n\n" NOT_ADVICE_EN,
     "# Verantwortungsvolle Nutzung\n\n"
     "Sie dürfen dieses Modell und was es erzeugt im Rahmen dieser Regeln nutzen, untersuchen und verändern.\n\n"
     "1. Sie dürfen es nicht nutzen, um Menschen zu schaden oder sie auszubeuten, vor allem Kinder, oder um anderen "
     "dabei zu helfen.\n"
     "2. Sie dürfen es nicht nutzen, um zu belästigen, zu verleumden, sexuelle Bilder wirklicher Menschen ohne deren "
     "Einwilligung herzustellen oder was es erzeugt als Worte oder Taten eines wirklichen Menschen auszugeben.\n"
     "3. Sie dürfen es nicht nutzen, um Waffen zu entwerfen oder zu bauen, die viele Menschen töten können, oder um "
     "fremde Computer ohne Erlaubnis anzugreifen.\n"
     "4. Sie dürfen es nicht allein über Freiheit, Gesundheit, Wohnung, Arbeit, Kredit oder Ausbildung eines Menschen "
     "entscheiden lassen. Ein Mensch, der das Ergebnis ändern kann, muss jede solche Entscheidung ansehen.\n"
     "5. Sie müssen sagen, dass man es mit einer Maschine zu tun hat, wo man etwas anderes glauben könnte.\n"
     "6. Sie müssen die Gesetze einhalten, die bei Ihnen und bei Ihren Nutzern gelten.\n"
     "7. Wem Sie das Modell weitergeben, der muss diese Regeln ebenfalls annehmen.\n"
     "8. Erfahren Sie von einem schweren Schaden, den das Modell angerichtet oder ermöglicht hat, müssen Sie ihn dem "
     "Eigentümer dieses Repos innerhalb von zehn Tagen melden.\n\n"
     "Wer gegen diese Regeln verstößt, dessen Zugang kann ausgesetzt oder entzogen werden. Die Gründe werden genannt, "
     "und "
     "Einspruch ist möglich.\n\n" NOT_ADVICE_DE},

    {"research-only", "licence",
     "# Research only\n\n"
     "1. You may use, change and run what is in this repo for research and teaching.\n"
     "2. You may publish what you find, and show as much of the outputs as your readers need to follow it.\n"
     "3. You must not use it, what you derive from it, or its outputs in a product or a service, or to train a model "
     "that is used in one.\n"
     "4. You must not pass the files on. Others can ask for access here.\n"
     "5. You must name this repo and the revision that you used in what you publish.\n"
     "6. You must not try to find out who is behind data that the model has learned from.\n"
     "7. When your research is over or your access ends, you must delete the files and what you derived from them, "
     "except "
     "what is needed to let others check your published results.\n\n"
     "Everything comes as it is, without any warranty.\n\n" NOT_ADVICE_EN,
     "# Nur für die Forschung\n\n"
     "1. Sie dürfen den Inhalt dieses Repos für Forschung und Lehre nutzen, verändern und ausführen.\n"
     "2. Sie dürfen Ihre Ergebnisse veröffentlichen und so viel von den Ausgaben zeigen, wie zum Nachvollziehen nötig "
     "ist.\n"
     "3. Sie dürfen ihn, davon Abgeleitetes und seine Ausgaben nicht in einem Produkt oder Dienst nutzen, und kein "
     "Modell "
     "damit trainieren, das in einem genutzt wird.\n"
     "4. Sie dürfen die Dateien nicht weitergeben. Andere können hier um Zugang bitten.\n"
     "5. Sie müssen in Veröffentlichungen dieses Repo und die genutzte Revision nennen.\n"
     "6. Sie dürfen nicht versuchen herauszufinden, wer hinter Daten steht, aus denen das Modell gelernt hat.\n"
     "7. Ist die Forschung beendet oder endet Ihr Zugang, müssen Sie die Dateien und davon Abgeleitetes löschen, außer "
     "was "
     "nötig ist, damit andere Ihre veröffentlichten Ergebnisse prüfen können.\n\n"
     "Alles wird bereitgestellt, wie es ist, ohne jede Gewähr.\n\n" NOT_ADVICE_DE},

    {"export-control", "aup",
     "# Export control\n\n"
     "The files in this repo may fall under rules on exports and sanctions.\n\n"
     "1. You confirm that no such rule that binds you, the owner of this repo or the operator of this hub forbids you "
     "to "
     "have them.\n"
     "2. You confirm that you are on no list of persons to whom they must not be given, and do not act for one who "
     "is.\n"
     "3. You must not pass them on, or give access to them from afar, to a place, person or use that these rules "
     "forbid.\n"
     "4. You must not use them for nuclear, chemical or biological weapons or for missiles that carry them.\n"
     "5. You must tell the owner of this repo at once when one of this is no longer so.\n\n"
     "The hub checks what you declare; it does not decide for you which law applies to you.\n\n" NOT_ADVICE_EN,
     "# Ausfuhrkontrolle\n\n"
     "Die Dateien in diesem Repo können unter Vorschriften über Ausfuhr und Sanktionen fallen.\n\n"
     "1. Sie bestätigen, dass Ihnen keine solche Vorschrift, die Sie, den Eigentümer dieses Repos oder den Betreiber "
     "dieses Hubs bindet, den Besitz verbietet.\n"
     "2. Sie bestätigen, dass Sie auf keiner Liste von Personen stehen, denen sie nicht gegeben werden dürfen, und für "
     "niemanden handeln, der auf einer steht.\n"
     "3. Sie dürfen sie nicht an Orte, Personen oder für Zwecke weitergeben oder aus der Ferne zugänglich machen, die "
     "diese "
     "Vorschriften verbieten.\n"
     "4. Sie dürfen sie nicht für nukleare, chemische oder biologische Waffen oder deren Trägersysteme nutzen.\n"
     "5. Sie müssen dem Eigentümer dieses Repos sofort melden, wenn etwas davon nicht mehr zutrifft.\n\n"
     "Der Hub prüft, was Sie erklären; welches Recht für Sie gilt, entscheidet er nicht für Sie.\n\n" NOT_ADVICE_DE},

    {"data-use-agreement", "dua",
     "# Data use agreement\n\n"
     "The data in this repo are about people, or were given in trust.\n\n"
     "1. You may use the data for the purpose that was approved in your request, and for no other.\n"
     "2. You must not try to identify anybody, contact anybody, or join the data with others so that somebody can be "
     "identified. If it happens by accident, you must tell the owner within two days and tell nobody else.\n"
     "3. You must keep the data encrypted where others could reach them, and give access to nobody who has no grant of "
     "their own.\n"
     "4. You must publish results only so that no person can be singled out.\n"
     "5. If data are lost, copied or seen by those who should not, you must tell the owner within two days.\n"
     "6. If a person withdraws, you must delete that person's data within thirty days of being told.\n"
     "7. When your access ends, you must delete all copies and confirm it here.\n"
     "8. The owner may ask you at any time to show how you keep these promises.\n\n" NOT_ADVICE_EN,
     "# Vereinbarung über die Datennutzung\n\n"
     "Die Daten in diesem Repo handeln von Menschen oder wurden anvertraut.\n\n"
     "1. Sie dürfen die Daten für den Zweck nutzen, der in Ihrem Antrag bewilligt wurde, und für keinen anderen.\n"
     "2. Sie dürfen nicht versuchen, jemanden zu erkennen, jemanden anzusprechen oder die Daten so mit anderen zu "
     "verbinden, dass jemand erkannt werden kann. Geschieht es versehentlich, müssen Sie es innerhalb von zwei Tagen "
     "dem "
     "Eigentümer melden und niemandem sonst sagen.\n"
     "3. Sie müssen die Daten verschlüsselt halten, wo andere an sie gelangen könnten, und dürfen niemandem Zugang "
     "geben, "
     "der keine eigene Bewilligung hat.\n"
     "4. Sie dürfen Ergebnisse nur so veröffentlichen, dass kein Mensch herausgefunden werden kann.\n"
     "5. Gehen Daten verloren, oder werden sie von Unbefugten kopiert oder gesehen, müssen Sie es innerhalb von zwei "
     "Tagen "
     "dem Eigentümer melden.\n"
     "6. Zieht ein Mensch seine Einwilligung zurück, müssen Sie dessen Daten innerhalb von dreißig Tagen löschen, "
     "nachdem "
     "Sie davon erfahren haben.\n"
     "7. Endet Ihr Zugang, müssen Sie alle Kopien löschen und es hier bestätigen.\n"
     "8. Der Eigentümer kann jederzeit verlangen, dass Sie zeigen, wie Sie diese Zusagen halten.\n\n" NOT_ADVICE_DE},
};

static const char there_sql[] = "SELECT 1 FROM terms_doc WHERE owner_id = 0 AND slug = ?";

static enum status publish_missing(struct db_conn *tx, void *arena, struct error *err)
{
    for (const struct template *template = templates;
         template <templates + sizeof templates / sizeof *templates; template ++) {
        auto_stmt struct stmt *row = NULL;
        struct publication what = {.arena = arena, .change = CHANGE_MATERIAL, .count = 2, .now_us = now_us()};
        TRY(db_prepare(tx, there_sql, &row, err));
        stmt_bind_str(row, 1, str_of(template->slug));
        bool there = stmt_next(row);
        TRY(stmt_end(row, err));
        if (there)
            continue;
        what.doc.slug = str_of(template->slug);
        what.doc.kind = str_of(template->kind);
        what.doc.name = arena_printf(arena, "templates/%s", template->slug);
        what.summary = STR("First version.");
        what.grace_us = TERMS_GRACE_US;
        what.texts[0].lang = STR("en");
        what.bodies[0] = str_of(template->en);
        what.texts[1].lang = STR("de");
        what.bodies[1] = str_of(template->de);
        publication_seal(&what);
        TRY(publication_run(tx, &what, err));
    }
    return OK;
}

enum status terms_publish_templates(struct db *db, struct error *err)
{
    auto_arena struct arena arena = {0};
    return db_write(db, publish_missing, &arena, err);
}
