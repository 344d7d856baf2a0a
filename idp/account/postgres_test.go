package account_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
)

// TestOnPostgres runs every test of this package that a database could make a
// difference to on PostgreSQL as well.
func TestOnPostgres(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"AddressChangesWhenItIsVerified":            TestAddressChangesWhenItIsVerified,
		"CodeToAnAddressDies":                       TestCodeToAnAddressDies,
		"TriesOfANewAddressAreCounted":              TestTriesOfANewAddressAreCounted,
		"SomebodyElsesAddress":                      TestSomebodyElsesAddress,
		"TheFirstToVerifyAnAddressHasIt":            TestTheFirstToVerifyAnAddressHasIt,
		"FiftyConfirmOneAddressOnce":                TestFiftyConfirmOneAddressOnce,
		"NewAddressesAreAskedForSoOften":            TestNewAddressesAreAskedForSoOften,
		"AddressThatIsTheUsernameStays":             TestAddressThatIsTheUsernameStays,
		"PhoneNumberChangesWhenItIsVerified":        TestPhoneNumberChangesWhenItIsVerified,
		"PasswordIsChangedWithTheOldOne":            TestPasswordIsChangedWithTheOldOne,
		"WhoHasNoPasswordSetsOne":                   TestWhoHasNoPasswordSetsOne,
		"ChangedPasswordEndsResetLinks":             TestChangedPasswordEndsResetLinks,
		"ProfileTakesWhatMayBeWritten":              TestProfileTakesWhatMayBeWritten,
		"OwnAccountIsDeleted":                       TestOwnAccountIsDeleted,
		"DeletionIsTold":                            TestDeletionIsTold,
		"InvitationSetsUpAnAccountOnce":             TestInvitationSetsUpAnAccountOnce,
		"InvitationDies":                            TestInvitationDies,
		"InvitationToAnAddressThatIsSomebodysByNow": TestInvitationToAnAddressThatIsSomebodysByNow,
		"RefusedInvitationMakesNobody":              TestRefusedInvitationMakesNobody,
		"ForgottenPasswordIsSetByTheLinkOnce":       TestForgottenPasswordIsSetByTheLinkOnce,
		"ResetLinkDies":                             TestResetLinkDies,
		"ResetTokensAreBoundToTheirPurpose":         TestResetTokensAreBoundToTheirPurpose,
		"FiftyResetsSetOnePassword":                 TestFiftyResetsSetOnePassword,
		"RefusedPasswordLeavesTheLink":              TestRefusedPasswordLeavesTheLink,
		"ForgotIsTheSameForEverybody":               TestForgotIsTheSameForEverybody,
		"OverLimitRequestLeavesTheLinkBefore":       TestOverLimitRequestLeavesTheLinkBefore,
		"NetworkAsksSoOftenOnly":                    TestNetworkAsksSoOftenOnly,
		"ResetRequiredEndsWithTheReset":             TestResetRequiredEndsWithTheReset,
		"ForgottenPasswordIsSetByTheCodeOnce":       TestForgottenPasswordIsSetByTheCodeOnce,
		"CodeTakesFiveAnswers":                      TestCodeTakesFiveAnswers,
		"FiftyGuessesAreFive":                       TestFiftyGuessesAreFive,
		"FiftyRightCodesSetOnePassword":             TestFiftyRightCodesSetOnePassword,
		"CodeCountsInItsBrowser":                    TestCodeCountsInItsBrowser,
		"ResetCodeDies":                             TestResetCodeDies,
		"RefusedPasswordLeavesTheCode":              TestRefusedPasswordLeavesTheCode,
		"CodesAreSoManyOnly":                        TestCodesAreSoManyOnly,
		"RecoveryGoesByPreference":                  TestRecoveryGoesByPreference,
		"LinkDiesByASecondFactorInTheMailbox":       TestLinkDiesByASecondFactorInTheMailbox,
		"CodesAreTheSameForEverybody":               TestCodesAreTheSameForEverybody,
		"SameWishIsOneSignUp":                       TestSameWishIsOneSignUp,
		"FiftyEqualWishesAreOneSignUp":              TestFiftyEqualWishesAreOneSignUp,
		"FiftyEqualWishesAreOneMessage":             TestFiftyEqualWishesAreOneMessage,
		"SecondClickIsTheSameForKnownAddresses":     TestSecondClickIsTheSameForKnownAddresses,
		"SignUpIsConfirmedByCode":                   TestSignUpIsConfirmedByCode,
		"LinkInAnotherBrowserAsksForThePassword":    TestLinkInAnotherBrowserAsksForThePassword,
		"TriesSurviveResendAndRestart":              TestTriesSurviveResendAndRestart,
		"ResendIsBoundedSilently":                   TestResendIsBoundedSilently,
		"UnsentResendLeavesTheCodeBefore":           TestUnsentResendLeavesTheCodeBefore,
		"SignUpExpiresAndReservesNothing":           TestSignUpExpiresAndReservesNothing,
		"TakenNameIsToldAfterTheProofAlone":         TestTakenNameIsToldAfterTheProofAlone,
		"AddressThatWasVerifiedMeanwhileIsTaken":    TestAddressThatWasVerifiedMeanwhileIsTaken,
		"FiftyConfirmationsMakeOneUser":             TestFiftyConfirmationsMakeOneUser,
		"FiftySignUpsForOneAddressMakeOneUser":      TestFiftySignUpsForOneAddressMakeOneUser,
		"SignUpIsTheSameForKnownAddresses":          TestSignUpIsTheSameForKnownAddresses,
		"SignUpObeysTheSwitch":                      TestSignUpObeysTheSwitch,
		"SignUpRefusesWhatItMayNotWrite":            TestSignUpRefusesWhatItMayNotWrite,
		"AddressAloneIsEnoughToSignUp":              TestAddressAloneIsEnoughToSignUp,
		"SignUpByPhone":                             TestSignUpByPhone,
		"SpellingsOfANameAreOneAccount":             TestSpellingsOfANameAreOneAccount,
		"TriesOfAnAddressAreCountedOverAllSignUps":  TestTriesOfAnAddressAreCountedOverAllSignUps,
	} {
		t.Run(name, test)
	}
}

// open returns a new database of the engine that t is about.
func open(t *testing.T, now func() time.Time) *store.DB {
	if strings.HasPrefix(t.Name(), "TestOnPostgres/") {
		return storetest.Postgres(t, now)
	}
	return storetest.Open(t, now)
}
